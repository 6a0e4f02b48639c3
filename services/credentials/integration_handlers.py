"""Commands on integrations, whose secrets go to the vault before the event that refers to them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from pydantic import SecretStr

from contracts import broker_checks, subjects
from contracts.calls import Nothing
from contracts.decoders.choice import checked
from contracts.failures import Refused
from contracts.integrations import (
    CHANGE_INTEGRATION,
    CREATE_INTEGRATION,
    DELETE_INTEGRATION,
    HOSTED,
    ChangeIntegration,
    CreateIntegration,
    DeleteIntegration,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationView,
    ReadSecret,
    Secret,
)
from runtime.event_log import Append
from services.credentials import callbacks, holders, integration_decider, views
from services.credentials.commands import Commands, Draft, Prepare
from services.credentials.handlers import Registry
from services.credentials.ids import new_id
from services.credentials.plans import Plan
from services.credentials.states.integration import HostedIntegration, Integration
from services.credentials.vault import Vault, new_references


class IntegrationHandlers:
    def __init__(self, commands: Commands, registry: Registry, vault: Vault) -> None:
        self._commands, self._registry, self._vault = commands, registry, vault
        self._table = registry.directory.integrations
        # One at a time for each organization: of two with the same name in the same moment, one is refused.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, request: CreateIntegration) -> IntegrationView:
        checked(request.decoder)

        async def decide(now: datetime) -> Draft[IntegrationView]:
            await self._registry.require_organization(request.organization)
            await self._check_name(request.organization, request.name)
            id = new_id("int")
            references = new_references(request.organization, id, request.secrets)
            events = integration_decider.decide_integration(request, Integration(), references)
            broker_checks.check(request.settings, request.secrets, now)
            subject = subjects.registry(request.organization, "integration", id)
            answer = views.integration_view(id, now, Integration().evolve(events[0]), now)
            return Draft(tuple(Append(subject, event, 0) for event in events), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(CREATE_INTEGRATION, request, decide, self._store(request.secrets))

    async def change(self, request: ChangeIntegration) -> IntegrationView:
        if request.decoder is not None:
            checked(request.decoder)
        if request.id == HOSTED:
            return await self._change_hosted(request)
        replaced: list[str] = []

        async def decide(now: datetime) -> Draft[IntegrationView]:
            subject, state, last, created_at = await self._registry.load(
                self._table, "integration", request.organization, request.id
            )
            references = new_references(request.organization, request.id, request.secrets)
            events = integration_decider.decide_integration(request, state, references)
            await self._check_new(request, state, now)
            if request.name is not None:
                await self._check_name(request.organization, request.name, but=request.id)
            held = {reference for _, reference in state.secrets}
            for event in events:
                state = state.evolve(event)
            replaced[:] = held - {reference for _, reference in state.secrets}
            answer = views.integration_view(request.id, created_at, state, now)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[request.organization]:
            answer = await self._commands.run(
                CHANGE_INTEGRATION, request, decide, self._store(request.secrets)
            )
        for reference in replaced:
            await self._vault.erase(reference)
        return answer

    async def _change_hosted(self, request: ChangeIntegration) -> IntegrationView:
        async def decide(_: datetime) -> Draft[IntegrationView]:
            subject, state, last = await self._registry.hosted(request.organization)
            events = integration_decider.decide_hosted(request, state)
            if request.name is not None:
                await self._check_name(request.organization, request.name, but=HOSTED)
            for event in events:
                state = state.evolve(event)
            owner = self._registry.directory.organizations.by_id[request.organization]
            answer = views.hosted_view(owner, state)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(CHANGE_INTEGRATION, request, decide)

    async def _check_new(self, request: ChangeIntegration, state: Integration, now: datetime) -> None:
        """A new certificate must belong to the key that is held, a new key to the certificate."""
        settings, held_key = request.settings or state.settings, None
        assert settings is not None
        reference = dict(state.secrets).get("client_key")
        if reference is not None and broker_checks.pair_is_new(settings, request.secrets, state.settings):
            held_key = None if "client_key" in request.secrets else await self._vault.read(reference)
        broker_checks.check(settings, request.secrets, now, before=state.settings, held_key=held_key)

    async def delete(self, request: DeleteIntegration) -> Nothing:
        held: list[str] = []

        async def decide(_: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._registry.load(
                self._table, "integration", request.organization, request.id
            )
            held[:] = [reference for _field, reference in state.secrets]
            events = integration_decider.decide_integration(request, state)
            appends = tuple(Append(subject, event, last) for event in events)
            ended = (
                callbacks.ended(self._registry.directory, request.organization, request.id) if appends else ()
            )
            return Draft((*appends, *ended), Nothing())

        _refuse_hosted(request)
        answer = await self._commands.run(DELETE_INTEGRATION, request, decide)
        for reference in held:
            await self._vault.erase(reference)
        return answer

    async def read_secret(self, request: ReadSecret) -> Secret:
        """Only what its holder holds now; ingest may have heard of it before this replica did."""
        if not self._holds(request):
            await self._registry.directory.catch_up()
        if not self._holds(request):
            raise Refused("not_found")
        return Secret(value=await self._vault.read(request.reference))

    def _holds(self, request: ReadSecret) -> bool:
        directory, organization = self._registry.directory, request.organization
        return directory.active(organization) and holders.holds(
            directory, organization, request.integration, request.field, request.reference
        )

    def _store(self, secrets: Mapping[str, SecretStr]) -> Prepare:
        async def store(plan: Plan) -> None:
            for append in plan.appends:
                assert isinstance(append.event, IntegrationCreated | IntegrationChanged)
                for field, value in secrets.items():
                    await self._vault.put(append.event.secrets[field], value)

        return store

    async def _check_name(self, organization: str, name: str, but: str | None = None) -> None:
        await self._registry.directory.catch_up()  # another replica may have given the name away
        hosted = self._registry.directory.hosted.get(organization, organization)
        names = {HOSTED: hosted.state.name if hosted is not None else HostedIntegration().name}
        for entry in self._table.by_organization.get(organization, []):
            if entry.state.status == "active":
                names[entry.id] = entry.state.name
        for id, other in names.items():
            if id != but and other.casefold() == name.casefold():
                raise Refused("name.taken", f"an integration is named {other!r}", field="name")


def _refuse_hosted(request: DeleteIntegration) -> None:
    if request.id == HOSTED:
        integration_decider.decide_integration(request, Integration())
