"""Commands on webhooks, whose secrets go to the vault before the event that refers to them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from pydantic import SecretStr
from pydantic_core import from_json, to_json

from contracts import subjects
from contracts.calls import Call, Nothing
from contracts.failures import Refused
from contracts.subjects import HOSTED, HTTP
from contracts.webhooks import (
    CHANGE_WEBHOOK,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    PAUSE_WEBHOOK,
    RESUME_WEBHOOK,
    ROTATE_WEBHOOK,
    WEBHOOKS_MAX,
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    PauseWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookChanged,
    WebhookCreated,
    WebhookSecretRotated,
    WebhookView,
    WebhookWithSecret,
    new_secret,
)
from runtime.event_log import Append
from services.credentials import views
from services.credentials.commands import Commands, Draft, Prepare
from services.credentials.handlers import Registry
from services.credentials.ids import new_id
from services.credentials.plans import Plan
from services.credentials.states.webhook import Webhook
from services.credentials.vault import Vault, new_references
from services.credentials.webhook_decider import (
    HEADERS,
    SECRET,
    decide_change,
    decide_creation,
    decide_rotation,
    decide_steering,
)

SteeringT = TypeVar("SteeringT", PauseWebhook, ResumeWebhook)


class WebhookHandlers:
    def __init__(self, commands: Commands, registry: Registry, vault: Vault) -> None:
        self._commands, self._registry, self._vault = commands, registry, vault
        self._table = registry.directory.webhooks
        # One at a time for each organization: so many at once do not pass the limit together.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, request: CreateWebhook) -> WebhookWithSecret:
        secrets = {SECRET: new_secret(), **header_secret(request.headers)}

        async def decide(now: datetime) -> Draft[WebhookWithSecret]:
            await self._registry.require_organization(request.organization)
            await self._check(request.organization, request.settings.name, request.settings.integration_id)
            self._check_count(request.organization)
            id = new_id("whk")
            return creation(request, id, secrets, now)

        async with self._turns[request.organization]:
            return await self._commands.run(CREATE_WEBHOOK, request, decide, stored_by(self._vault, secrets))

    async def change(self, request: ChangeWebhook) -> WebhookView:
        secrets = header_secret(request.headers or {})
        replaced: list[str] = []

        async def decide(now: datetime) -> Draft[WebhookView]:
            subject, held, last, created_at = await self._load(request.organization, request.id)
            references = new_references(request.organization, request.id, secrets)
            events = decide_change(request, held, references)
            await self._check(request.organization, request.name, request.integration_id, but=request.id)
            state = held
            for event in events:
                state = state.evolve(event)
            replaced[:] = _references(held) - _references(state)
            answer = views.webhook_view(request.id, created_at, state, now)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[request.organization]:
            stored = stored_by(self._vault, secrets)
            answer = await self._commands.run(CHANGE_WEBHOOK, request, decide, stored)
        await self._erase(replaced)
        return answer

    async def rotate(self, request: RotateWebhookSecret) -> WebhookWithSecret:
        secrets = {SECRET: new_secret()}
        replaced: list[str] = []

        async def decide(now: datetime) -> Draft[WebhookWithSecret]:
            subject, held, last, created_at = await self._load(request.organization, request.id)
            reference = new_references(request.organization, request.id, secrets)[SECRET]
            [event] = decide_rotation(request, held, now, reference)
            state = held.evolve(event)
            replaced[:] = _references(held) - _references(state)
            view = views.webhook_view(request.id, created_at, state, now)
            answer = WebhookWithSecret(**view.model_dump(), secret=secrets[SECRET].get_secret_value())
            return Draft((Append(subject, event, last),), answer)

        stored = stored_by(self._vault, secrets)
        answer = await self._commands.run(ROTATE_WEBHOOK, request, decide, stored)
        await self._erase(replaced)
        return answer

    async def pause(self, request: PauseWebhook) -> WebhookView:
        return await self._steer(PAUSE_WEBHOOK, request)

    async def resume(self, request: ResumeWebhook) -> WebhookView:
        return await self._steer(RESUME_WEBHOOK, request)

    async def _steer(self, call: Call[SteeringT, WebhookView], request: SteeringT) -> WebhookView:
        async def decide(now: datetime) -> Draft[WebhookView]:
            subject, state, last, created_at = await self._load(request.organization, request.id)
            events = decide_steering(request, state)
            for event in events:
                state = state.evolve(event)
            answer = views.webhook_view(request.id, created_at, state, now)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        return await self._commands.run(call, request, decide)

    async def delete(self, request: DeleteWebhook) -> Nothing:
        held: list[str] = []

        async def decide(_: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._load(request.organization, request.id)
            held[:] = sorted(_references(state))
            events = decide_steering(request, state)
            return Draft(tuple(Append(subject, event, last) for event in events), Nothing())

        answer = await self._commands.run(DELETE_WEBHOOK, request, decide)
        await self._erase(held)
        return answer

    async def _load(self, organization: str, id: str) -> tuple[str, Webhook, int, datetime]:
        return await self._registry.load(self._table, "webhook", organization, id)

    async def _erase(self, references: list[str]) -> None:
        for reference in references:
            await self._vault.erase(reference)

    async def _check(
        self, organization: str, name: str | None, integration: str | None, but: str | None = None
    ) -> None:
        directory = self._registry.directory
        await directory.catch_up()  # another replica may have given the name away
        for entry in self._table.by_organization.get(organization, []):
            settings = entry.state.settings
            if entry.id == but or entry.state.status != "active" or settings is None or name is None:
                continue
            if settings.name.casefold() == name.casefold():
                raise Refused("name.taken", f"a webhook is named {settings.name!r}", field="name")
        if integration and integration not in (HOSTED, HTTP):
            found = directory.integrations.get(organization, integration)
            if found is None or found.state.status != "active":
                raise Refused("not_found", "there is no such integration", field="integration_id")

    def _check_count(self, organization: str) -> None:
        entries = self._table.by_organization.get(organization, [])
        own = [each for each in entries if each.state.status == "active" and each.state.subscription is None]
        if len(own) >= WEBHOOKS_MAX:
            raise Refused("limit.reached", f"an organization has at most {WEBHOOKS_MAX} webhooks")


def creation(
    request: CreateWebhook,
    id: str,
    secrets: Mapping[str, SecretStr],
    now: datetime,
    subscription: str | None = None,
) -> Draft[WebhookWithSecret]:
    references = new_references(request.organization, id, secrets)
    [event] = decide_creation(request, references, subscription)
    subject = subjects.registry(request.organization, "webhook", id)
    view = views.webhook_view(id, now, Webhook().evolve(event), now)
    answer = WebhookWithSecret(**view.model_dump(), secret=secrets[SECRET].get_secret_value())
    return Draft((Append(subject, event, 0),), answer)


def header_secret(headers: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    """Values of headers are one secret together."""
    if not headers:
        return {}
    values = {name: value.get_secret_value() for name, value in headers.items()}
    text = to_json(values).decode()
    return {HEADERS: SecretStr(text)}


def stored_by(vault: Vault, secrets: Mapping[str, SecretStr]) -> Prepare:
    """Stores these, under the references that the webhook's event carries, if it carries them."""

    async def store(plan: Plan) -> None:
        # Of a command that is tried again, the plan has the secret that its caller will be shown.
        shown = {SECRET: SecretStr(from_json(plan.answer)[SECRET])} if SECRET in secrets else {}
        for append in plan.appends:
            if isinstance(append.event, WebhookCreated | WebhookChanged | WebhookSecretRotated):
                for field, value in {**secrets, **shown}.items():
                    await vault.put(append.event.secrets[field], value)

    return store


def _references(state: Webhook) -> set[str]:
    return {reference for _, reference in state.secrets}
