"""Commands on organizations, API keys and credentials."""

from __future__ import annotations

from datetime import datetime

from contracts import subjects
from contracts.alert_rules import LINKS
from contracts.calls import Nothing, Request
from contracts.credentials import (
    ISSUE_CREDENTIAL,
    REVOKE_CREDENTIAL,
    CredentialWithPassword,
    IssueCredential,
    RevokeCredential,
)
from contracts.envelope import Event, Recorded
from contracts.failures import Refused, Unavailable
from contracts.organizations import (
    CREATE_ORGANIZATION,
    DELETE_ORGANIZATION,
    ISSUE_API_KEY,
    PLATFORM,
    REVOKE_API_KEY,
    ApiKeySecret,
    ApiKeyWithSecret,
    CreateOrganization,
    DeleteOrganization,
    IssueApiKey,
    OrganizationIssued,
    RevokeApiKey,
)
from contracts.subjects import HOSTED, EntityKind
from runtime.event_log import Append, EventLog
from services.credentials import decider, views
from services.credentials.commands import Commands, Draft
from services.credentials.directory import Directory, Entry, Table
from services.credentials.hashing import Hashing
from services.credentials.ids import new_id, new_identity
from services.credentials.states.alert_rule import BUILT_IN_RULE, AlertRuleState
from services.credentials.states.base import StateT
from services.credentials.states.credential import Credential
from services.credentials.states.integration import HostedIntegration
from services.credentials.states.keys import ApiKey
from services.credentials.states.organization import Organization


class Registry:
    """What every command's handler reads: the directory for whether it exists, the log for what it is."""

    def __init__(self, log: EventLog, directory: Directory) -> None:
        self._log, self.directory = log, directory

    async def require_organization(self, organization: str) -> None:
        """Refused("organization.deleted") or Refused("not_found") unless it is active."""
        if organization not in self.directory.organizations.by_id:
            await self.directory.catch_up()
        entry = self.directory.organizations.by_id.get(organization)
        if entry is None:
            raise Refused("not_found")
        if entry.state.status == "ended":
            raise Refused("organization.deleted", "its data is kept until it is erased; nothing new is taken")

    async def load(
        self, table: Table[StateT], kind: EntityKind, organization: str, id: str
    ) -> tuple[str, StateT, int, datetime]:
        """Subject, state, last sequence and time of creation; Refused("not_found") where there is none.

        Only an id that the directory knows becomes part of a subject.
        """
        entry, events = await self.events(table, kind, organization, id)
        state = table.empty
        for recorded in events:
            state = state.evolve(recorded.event)
        return subjects.registry(organization, kind, id), state, events[-1].sequence, entry.created_at

    async def events(
        self, table: Table[StateT], kind: EntityKind, organization: str, id: str
    ) -> tuple[Entry[StateT], list[Recorded]]:
        """All that was ever recorded of it, the oldest first; Refused("not_found") where there is none."""
        if table.get(organization, id) is None:
            await self.directory.catch_up()
        entry = table.get(organization, id)
        if entry is None:
            raise Refused("not_found")
        return entry, await self._read(subjects.registry(organization, kind, id), entry.last)

    async def hosted(self, organization: str) -> tuple[str, HostedIntegration, int]:
        """Subject, state and last sequence, 0 where it was never changed; Refused("not_found")."""
        await self.require_organization(organization)
        entry = self.directory.hosted.get(organization, organization)
        subject = subjects.registry(organization, "integration", HOSTED)
        events = await self._read(subject, entry.last if entry is not None else 0)
        state = HostedIntegration()
        for recorded in events:
            state = state.evolve(recorded.event)
        return subject, state, events[-1].sequence if events else 0

    async def built_in_rule(self, organization: str) -> tuple[str, AlertRuleState, int, datetime]:
        """As `load`; its last sequence is 0 where it was never changed."""
        await self.require_organization(organization)
        entry = self.directory.built_in_rules.get(organization, organization)
        subject = subjects.registry(organization, "alert-rule", LINKS)
        events = await self._read(subject, entry.last if entry is not None else 0)
        state = BUILT_IN_RULE
        for recorded in events:
            state = state.evolve(recorded.event)
        created_at = self.directory.organizations.by_id[organization].created_at
        return subject, state, events[-1].sequence if events else 0, created_at

    async def _read(self, subject: str, known: int) -> list[Recorded]:
        """All events of a subject, of which the one at `known` is one."""
        events = await self._log.read(subject)
        if known and (not events or events[-1].sequence < known):  # that replica of the log lags behind
            raise Unavailable("log.unavailable", "the registry cannot be read at the moment; try again")
        return events


def platform_only(request: Request) -> None:
    """Organizations are the operator's business."""
    if request.organization != PLATFORM:
        raise Refused("scope.missing", "this takes the admin key")


class Handlers:
    def __init__(self, commands: Commands, registry: Registry, hashing: Hashing) -> None:
        self._commands, self._registry, self._hashing = commands, registry, hashing
        self._directory = registry.directory

    async def create_organization(self, request: CreateOrganization) -> OrganizationIssued:
        """The organization and its first API key, together or not at all."""
        platform_only(request)

        async def decide(_: datetime) -> Draft[OrganizationIssued]:
            organization, key = new_id("org"), new_id("key")
            secret, kept = self._hashing.mint("key")
            appends = (
                *_appends(
                    subjects.registry(organization, "organization", organization),
                    decider.decide_organization(request, Organization()),
                ),
                Append(subjects.registry(organization, "api-key", key), decider.first_api_key(kept), 0),
            )
            answer = OrganizationIssued(
                id=organization, name=request.name, api_key=ApiKeySecret(id=key, secret=secret)
            )
            return Draft(appends, answer)

        return await self._commands.run(CREATE_ORGANIZATION, request, decide)

    async def delete_organization(self, request: DeleteOrganization) -> Nothing:
        """Ends all access of the organization at once."""
        platform_only(request)

        async def decide(_: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._registry.load(
                self._directory.organizations, "organization", request.id, request.id
            )
            return Draft(_appends(subject, decider.decide_organization(request, state), last), Nothing())

        return await self._commands.run(DELETE_ORGANIZATION, request, decide)

    async def issue_api_key(self, request: IssueApiKey) -> ApiKeyWithSecret:
        async def decide(now: datetime) -> Draft[ApiKeyWithSecret]:
            await self._registry.require_organization(request.organization)
            id = new_id("key")
            secret, kept = self._hashing.mint("key")
            events = decider.decide_api_key(request, ApiKey(), now, kept)
            view = views.api_key_view(id, now, ApiKey().evolve(events[0]), now)
            answer = ApiKeyWithSecret(**view.model_dump(), secret=secret)
            return Draft(_appends(subjects.registry(request.organization, "api-key", id), events), answer)

        return await self._commands.run(ISSUE_API_KEY, request, decide)

    async def revoke_api_key(self, request: RevokeApiKey) -> Nothing:
        async def decide(now: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._registry.load(
                self._directory.api_keys, "api-key", request.organization, request.id
            )
            return Draft(_appends(subject, decider.decide_api_key(request, state, now), last), Nothing())

        return await self._commands.run(REVOKE_API_KEY, request, decide)

    async def issue_credential(self, request: IssueCredential) -> CredentialWithPassword:
        async def decide(now: datetime) -> Draft[CredentialWithPassword]:
            await self._registry.require_organization(request.organization)
            id = new_id("cred")
            secret, kept = self._hashing.mint("dev")
            events = decider.decide_credential(request, Credential(), now, kept, new_identity())
            state = Credential().evolve(events[0])
            view = views.credential_view(request.organization, id, now, state, now)
            answer = CredentialWithPassword(**view.model_dump(), password=secret)
            return Draft(_appends(subjects.registry(request.organization, "credential", id), events), answer)

        return await self._commands.run(ISSUE_CREDENTIAL, request, decide)

    async def revoke_credential(self, request: RevokeCredential) -> Nothing:
        async def decide(now: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._registry.load(
                self._directory.credentials, "credential", request.organization, request.id
            )
            return Draft(_appends(subject, decider.decide_credential(request, state, now), last), Nothing())

        return await self._commands.run(REVOKE_CREDENTIAL, request, decide)


def _appends(subject: str, events: list[Event], expected: int = 0) -> tuple[Append, ...]:
    return tuple(Append(subject, event, expected) for event in events)
