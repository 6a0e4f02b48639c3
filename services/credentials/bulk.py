"""Credentials for a fleet: a batch of them in one append, each wish with its own outcome."""

from __future__ import annotations

import asyncio
from datetime import datetime

from contracts import subjects
from contracts.credentials import (
    ISSUE_CREDENTIALS,
    CredentialOutcome,
    CredentialsIssued,
    CredentialWish,
    CredentialWithPassword,
    IssueCredential,
    IssueCredentials,
)
from contracts.failures import Refused
from runtime.event_log import Append
from services.credentials import decider, views
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.hashing import Hashing
from services.credentials.hosted import HostedBroker
from services.credentials.ids import new_id, new_identity
from services.credentials.state import Credential, evolve


class BulkHandlers:
    def __init__(
        self, commands: Commands, registry: Registry, hashing: Hashing, hosted: HostedBroker
    ) -> None:
        self._commands, self._registry = commands, registry
        self._hashing, self._hosted = hashing, hosted

    async def issue(self, request: IssueCredentials) -> CredentialsIssued:
        """With the same command id: the same credentials, with the same passwords."""

        async def decide(now: datetime) -> Draft[CredentialsIssued]:
            await self._registry.require_organization(request.organization)
            appends: list[Append] = []
            outcomes = []
            for wish in request.wishes:
                try:
                    append, issued = self._issue(request, wish, now)
                except Refused as refused:
                    outcomes.append(CredentialOutcome(failure=refused.as_dict()))
                else:
                    appends.append(append)
                    outcomes.append(CredentialOutcome(credential=issued))
            return Draft(tuple(appends), CredentialsIssued(outcomes=tuple(outcomes)))

        answer = await self._commands.run(ISSUE_CREDENTIALS, request, decide)
        issued = [outcome.credential for outcome in answer.outcomes if outcome.credential is not None]
        await asyncio.gather(*(self._hosted.admit(each.id, each.password) for each in issued))
        return answer

    def _issue(
        self, request: IssueCredentials, wish: CredentialWish, now: datetime
    ) -> tuple[Append, CredentialWithPassword]:
        command = IssueCredential(organization=request.organization, actor=request.actor, **wish.model_dump())
        id = new_id("cred")
        secret, kept = self._hashing.mint("dev")
        [event] = decider.decide_credential(command, Credential(), now, kept, new_identity())
        state = evolve(Credential(), event)
        view = views.credential_view(request.organization, id, now, state, now)
        append = Append(subjects.registry(request.organization, "credential", id), event, 0)
        return append, CredentialWithPassword(**view.model_dump(), password=secret)
