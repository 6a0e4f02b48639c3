"""A webhook."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from contracts.envelope import Event
from contracts.webhooks import (
    PauseReason,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookSettings,
)
from services.credentials.states.base import Status


@dataclass(frozen=True, slots=True)
class Webhook:
    status: Status = "absent"
    settings: WebhookSettings | None = None
    headers: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()  # field, reference
    subscription: str | None = None
    previous_until: datetime | None = None
    paused: PauseReason | None = None
    paused_detail: str = ""

    def evolve(self, event: Event) -> Webhook:
        match event:
            case WebhookCreated():
                secrets = tuple(sorted(event.secrets.items()))
                return Webhook("active", event.settings, event.headers, secrets, event.subscription)
            case WebhookChanged():
                secrets = tuple(sorted(event.secrets.items()))
                return replace(self, settings=event.settings, headers=event.headers, secrets=secrets)
            case WebhookSecretRotated(previous_until=until):
                secrets = tuple(sorted(event.secrets.items()))
                return replace(self, secrets=secrets, previous_until=until)
            case WebhookPaused(reason=reason, detail=detail):
                return replace(self, paused=reason, paused_detail=detail)
            case WebhookResumed():
                return replace(self, paused=None, paused_detail="")
            case WebhookDeleted():
                return replace(self, status="ended", secrets=())
            case _:
                return self
