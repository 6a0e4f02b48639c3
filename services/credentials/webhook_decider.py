"""What may happen to webhooks: pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from contracts.envelope import Event
from contracts.failures import Refused
from contracts.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    PauseWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
)
from services.credentials.states.webhook import Webhook

SECRET, PREVIOUS, HEADERS = "secret", "previous", "headers"
References = Mapping[str, str]  # secret → its entry in the bucket SECRETS
Steering = PauseWebhook | ResumeWebhook | DeleteWebhook
_CHANGEABLE = ("name", "url", "events", "integration_id", "topic_filters", "device_ids", "ordered")


def decide_creation(command: CreateWebhook, references: References, subscription: str | None) -> list[Event]:
    created = WebhookCreated(
        settings=command.settings,
        headers=tuple(command.headers),
        secrets=dict(references),
        subscription=subscription,
    )
    return [created]


def decide_change(command: ChangeWebhook, held: Webhook, references: References) -> list[Event]:
    """What belongs to a subscription keeps to it: its events, integration and filter are the subscription's."""
    settings = _active(held).settings
    assert settings is not None
    wished = {name: value for name in _CHANGEABLE if (value := getattr(command, name)) is not None}
    if "integration_id" in wished:
        wished["integration_id"] = wished["integration_id"] or None
    if held.subscription is not None and wished.keys() & {"events", "integration_id", "topic_filters"}:
        raise Refused("request.invalid", "the subscription decides what its callback gets", field="events")
    kept = dict(held.secrets)
    if command.headers is not None:
        kept.pop(HEADERS, None)
    changed = WebhookChanged(
        settings=settings.model_copy(update=wished),
        headers=held.headers if command.headers is None else tuple(command.headers),
        secrets={**kept, **references},
    )
    return [] if held.evolve(changed) == held else [changed]


def decide_rotation(
    command: RotateWebhookSecret, held: Webhook, now: datetime, reference: str
) -> list[Event]:
    """The secret before last holds no longer, whatever its grace was."""
    kept = dict(_active(held).secrets)
    kept.pop(PREVIOUS, None)
    if command.grace_seconds:
        kept[PREVIOUS] = kept[SECRET]
    until = now + timedelta(seconds=command.grace_seconds) if command.grace_seconds else None
    return [WebhookSecretRotated(secrets={**kept, SECRET: reference}, previous_until=until)]


def decide_steering(command: Steering, held: Webhook) -> list[Event]:
    """Asking for what is so already gives no event."""
    match command:
        case DeleteWebhook() if held.status == "ended":
            return []
        case _ if held.status != "active":
            raise Refused("not_found")
        case DeleteWebhook() if held.subscription is not None:
            raise Refused(
                "webhook.of_subscription", "remove the subscription, or add it without its callback"
            )
        case DeleteWebhook():
            return [WebhookDeleted()]
        case PauseWebhook(reason=reason, detail=detail):
            return [] if held.paused is not None else [WebhookPaused(reason=reason, detail=detail)]
        case ResumeWebhook(skip_backlog=skip):
            return [WebhookResumed(skip_backlog=skip)] if held.paused is not None else []


def held_secrets(state: Webhook, now: datetime) -> dict[str, str]:
    """References to what is still in use."""
    over = state.previous_until is None or state.previous_until <= now
    return {field: reference for field, reference in state.secrets if field != PREVIOUS or not over}


def _active(held: Webhook) -> Webhook:
    if held.status != "active":
        raise Refused("not_found")
    return held
