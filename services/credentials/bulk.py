"""Credentials for a fleet: a batch of them in one append, each wish with its own outcome."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from contracts import subjects
from contracts.credentials import (
    CredentialImported,
    CredentialIssued,
    CredentialWithPassword,
    IssueCredential,
)
from contracts.credentials_bulk import (
    ISSUE_CREDENTIALS,
    CheckCredentials,
    CredentialDraft,
    CredentialOutcome,
    CredentialsChecked,
    CredentialsIssued,
    CredentialWish,
    DraftOutcome,
    IssueCredentials,
)
from contracts.envelope import Event
from contracts.failures import Refused
from runtime.event_log import Append
from services.credentials import decider, views
from services.credentials.chosen import ChosenPasswords
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.hashing import Hashing
from services.credentials.hosted import HostedBroker
from services.credentials.ids import new_id, new_identity
from services.credentials.states.credential import Credential

CHOSEN_HINT = "(chosen)"  # nothing of it is shown
NO_SECRET = decider.NewSecret("", "")
NOBODY = decider.Identity("", "")


class BulkHandlers:
    def __init__(
        self, commands: Commands, registry: Registry, hashing: Hashing, hosted: HostedBroker
    ) -> None:
        self._commands, self._registry = commands, registry
        self._hashing, self._hosted = hashing, hosted
        self._chosen = ChosenPasswords(hashing)

    async def issue(self, request: IssueCredentials) -> CredentialsIssued:
        """With the same command id: the same credentials, with the same passwords."""

        async def decide(now: datetime) -> Draft[CredentialsIssued]:
            await self._registry.require_organization(request.organization)
            appends: list[Append] = []
            outcomes = []
            taken: set[str] = set()  # user names of this batch
            if any(wish.username is not None for wish in request.wishes):
                await self._registry.directory.catch_up()
            for wish in request.wishes:
                try:
                    append, issued = await self._issue(request, wish, now, taken)
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

    async def check(self, request: CheckCredentials) -> CredentialsChecked:
        """From memory, without a secret made or a password hashed."""
        await self._registry.require_organization(request.organization)
        if any(wish.username is not None for wish in request.wishes):
            await self._registry.directory.catch_up()
        now, taken = datetime.now(UTC), set[str]()
        return CredentialsChecked(
            outcomes=tuple(self._check(request, wish, now, taken) for wish in request.wishes)
        )

    def _check(
        self, request: CheckCredentials, wish: CredentialWish, now: datetime, taken: set[str]
    ) -> DraftOutcome:
        try:
            event = _decided(request, wish, now, NO_SECRET, NOBODY)
            username = wish.username and self._username(request.organization, wish.username, taken)
        except Refused as refused:
            return DraftOutcome(failure=refused.as_dict())
        fields = event.model_dump(include={"device_id", "publish", "subscribe", "expires_at"})
        draft = CredentialDraft(name=event.name or None, username=username, **fields)
        return DraftOutcome(credential=draft)

    def _username(self, organization: str, name: str, taken: set[str]) -> str:
        """With the organization before it, in `taken` from now on; Refused("name.taken")."""
        username = f"{organization}:{name}"
        directory = self._registry.directory
        held = directory.credentials.by_id.get(directory.credential_by_username.get(username, ""))
        if username in taken or (held is not None and held.state.status == "active"):
            raise Refused("name.taken", f"{username} is in use", field="username")
        taken.add(username)
        return username

    async def _issue(
        self, request: IssueCredentials, wish: CredentialWish, now: datetime, taken: set[str]
    ) -> tuple[Append, CredentialWithPassword]:
        id = new_id("cred")
        secret, kept = self._hashing.mint("dev")
        event = _decided(request, wish, now, kept, new_identity())
        if wish.username is not None and wish.password is not None:
            secret = wish.password.get_secret_value()
            event = await self._imported(request.organization, wish.username, secret, event, taken)
        state = Credential().evolve(event)
        view = views.credential_view(request.organization, id, now, state, now)
        append = Append(subjects.registry(request.organization, "credential", id), event, 0)
        return append, CredentialWithPassword(**view.model_dump(), password=secret)

    async def _imported(
        self, organization: str, name: str, password: str, event: Event, taken: set[str]
    ) -> CredentialImported:
        """The same with a user name and a password that somebody chose."""
        username = self._username(organization, name, taken)
        kept = {"verifier": await self._chosen.verifier(password), "hint": CHOSEN_HINT}
        fields = event.model_dump() | kept | {"broker_verifier": None, "username": username}
        return CredentialImported.model_validate(fields)


def _decided(
    request: IssueCredentials | CheckCredentials,
    wish: CredentialWish,
    now: datetime,
    secret: decider.NewSecret,
    identity: decider.Identity,
) -> CredentialIssued:
    """Raises Refused where this may not be."""
    command = IssueCredential(
        organization=request.organization,
        actor=request.actor,
        **wish.model_dump(exclude={"username", "password"}),
    )
    [event] = decider.decide_credential(command, Credential(), now, secret, identity)
    assert isinstance(event, CredentialIssued)
    return event
