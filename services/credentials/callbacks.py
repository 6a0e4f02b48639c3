"""Callbacks of subscriptions: each is a webhook, which comes, changes and goes with its subscription."""

from __future__ import annotations

import hashlib

from pydantic import SecretStr
from pydantic_core import from_json

from contracts import subjects
from contracts.failures import Refused
from contracts.subscriptions import CALLBACKS_MAX, AddSubscription, SubscriptionAdded
from contracts.webhooks import (
    MESSAGE,
    ChangeWebhook,
    CreateWebhook,
    WebhookCreated,
    WebhookDeleted,
    WebhookSettings,
)
from runtime.event_log import Append
from services.credentials.commands import Prepare
from services.credentials.directory import Directory, Entry
from services.credentials.ids import new_id
from services.credentials.plans import Plan
from services.credentials.states.webhook import Webhook
from services.credentials.vault import Vault, new_references
from services.credentials.webhook_decider import SECRET, decide_change, decide_creation


def of(
    directory: Directory, organization: str, integration: str, filter: str | None = None
) -> list[Entry[Webhook]]:
    """The callbacks of an integration's subscriptions, or of the one with this filter."""
    return [
        entry
        for entry in directory.webhooks.by_organization.get(organization, [])
        if entry.state.status == "active"
        and entry.state.subscription is not None
        and filter in (None, entry.state.subscription)
        and entry.state.settings is not None
        and entry.state.settings.integration_id == integration
    ]


def ended(
    directory: Directory, organization: str, integration: str, filter: str | None = None
) -> tuple[Append, ...]:
    """What ends them. Their secrets are erased by the janitor, which hears of it."""
    return tuple(
        Append(subjects.registry(organization, "webhook", entry.id), WebhookDeleted(), entry.last)
        for entry in of(directory, organization, integration, filter)
    )


def wished(
    directory: Directory, request: AddSubscription, secret: SecretStr
) -> tuple[tuple[Append, ...], SubscriptionAdded]:
    """What makes the subscription's callback as it is wished. Refused("limit.reached")."""
    organization, filter = request.organization, request.topic.filter
    held = of(directory, organization, request.id, filter)
    if request.callback_url is None:
        return ended(directory, organization, request.id, filter), SubscriptionAdded()
    if held:
        [entry] = held
        subject = subjects.registry(organization, "webhook", entry.id)
        change = ChangeWebhook(
            organization=organization, actor=request.actor, id=entry.id, url=request.callback_url
        )
        events = decide_change(change, entry.state, {})
        appends = tuple(Append(subject, event, entry.last) for event in events)
        return appends, SubscriptionAdded(webhook=entry.id)
    every = directory.webhooks.by_organization.get(organization, [])
    own = sum(each.state.status == "active" and each.state.subscription is not None for each in every)
    if own >= CALLBACKS_MAX:
        raise Refused("limit.reached", f"an organization has at most {CALLBACKS_MAX} callbacks")
    return _created(request, request.callback_url, secret)


def _created(
    request: AddSubscription, url: str, secret: SecretStr
) -> tuple[tuple[Append, ...], SubscriptionAdded]:
    organization, filter = request.organization, request.topic.filter
    id = new_id("whk")
    digest = hashlib.sha256(f"{request.id} {filter}".encode()).hexdigest()[:12]
    settings = WebhookSettings(
        name=f"callback {digest}",
        url=url,
        events=(MESSAGE,),
        integration_id=request.id,
        topic_filters=(filter,),
    )
    command = CreateWebhook(organization=organization, actor=request.actor, settings=settings)
    references = new_references(organization, id, {SECRET: secret})
    [event] = decide_creation(command, references, filter)
    append = Append(subjects.registry(organization, "webhook", id), event, 0)
    return (append,), SubscriptionAdded(webhook=id, secret=secret.get_secret_value())


def stored(vault: Vault) -> Prepare:
    """Stores the secret that the caller will be shown."""

    async def store(plan: Plan) -> None:
        for append in plan.appends:
            if isinstance(append.event, WebhookCreated):
                value = SecretStr(from_json(plan.answer)[SECRET])
                await vault.put(append.event.secrets[SECRET], value)

    return store
