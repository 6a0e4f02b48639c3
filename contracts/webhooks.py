"""Webhooks: what happens in an organization, sent to an address of its own as Standard Webhooks.

Headers, signature and secret are those of the specification, version 1.0.0
(github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Annotated, Literal

from pydantic import SecretStr, StringConstraints

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.organizations import List, Name
from contracts.webhook_fields import (
    Devices,
    Events,
    GraceSeconds,
    Headers,
    Id,
    TopicFilters,
    Url,
)

WEBHOOKS_MAX = 20  # of an organization; those of subscriptions besides, as many as there are subscriptions
SECRET_PREFIX, SECRET_BYTES = "whsec_", 32  # the specification demands 24 to 64 bytes
MESSAGE = "message"

PauseReason = Literal["gone", "failing", "person"]
"""The receiver answered 410; nothing but failures for days; somebody asked for it."""


def new_secret() -> SecretStr:
    """`whsec_` and 32 random bytes in base64."""
    return SecretStr(SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


class WebhookSettings(Model):
    """What is sent where. `device_ids` and `integration_id` narrow everything, `topic_filters` messages.

    `ordered`: for each device the next call waits until the one before it has succeeded or is given up.
    """

    name: Name
    url: Url
    events: Events
    integration_id: Id | None = None
    topic_filters: TopicFilters = ()
    device_ids: Devices = ()
    ordered: bool = False


# events
class WebhookCreated(Event):
    """`secrets`: field → entry of the bucket SECRETS (`secret`, `headers`); header values are secrets."""

    type = "webhook.created"
    settings: WebhookSettings
    headers: tuple[str, ...] = ()  # their names
    secrets: dict[str, str]
    subscription: str | None = None  # the filter of the subscription whose callback it is


class WebhookChanged(Event):
    """The whole new state, so that a reader needs no earlier event."""

    type = "webhook.changed"
    settings: WebhookSettings
    headers: tuple[str, ...] = ()
    secrets: dict[str, str]


class WebhookSecretRotated(Event):
    """Until `previous_until` calls are signed with the secret before, too (`previous` among `secrets`)."""

    type = "webhook.secret-rotated"
    secrets: dict[str, str]
    previous_until: datetime | None = None


class WebhookPaused(Event):
    """Nothing is sent; its place in the logs stays."""

    type = "webhook.paused"
    reason: PauseReason
    detail: str = ""


class WebhookResumed(Event):
    """`skip_backlog`: what came while it was paused is not sent."""

    type = "webhook.resumed"
    skip_backlog: bool = False


class WebhookDeleted(Event):
    type = "webhook.deleted"


# commands and queries to credentials
class CreateWebhook(Request):
    """Refused("limit.reached") above WEBHOOKS_MAX, ("name.taken"), ("not_found") for an unknown integration."""

    settings: WebhookSettings
    headers: Headers = {}


class ChangeWebhook(Request):
    """None leaves a part as it is. `headers` replaces all of them."""

    id: str
    name: Name | None = None
    url: Url | None = None
    events: Events | None = None
    integration_id: Id | Literal[""] | None = None  # "": of all integrations
    topic_filters: TopicFilters | None = None
    device_ids: Devices | None = None
    ordered: bool | None = None
    headers: Headers | None = None


class RotateWebhookSecret(Request):
    id: str
    grace_seconds: GraceSeconds = 24 * 3600


class PauseWebhook(Request):
    """A person's, or ingest's."""

    id: str
    reason: PauseReason = "person"
    detail: Annotated[str, StringConstraints(max_length=300)] = ""


class ResumeWebhook(Request):
    id: str
    skip_backlog: bool = False


class DeleteWebhook(Request):
    id: str


class GetWebhook(Request):
    id: str


class WebhookView(Model):
    """`headers` are names: their values are never shown. `previous_secret_until`: while two secrets sign."""

    id: str
    name: str
    url: str
    events: tuple[str, ...]
    integration_id: str | None = None
    topic_filters: tuple[str, ...] = ()
    device_ids: tuple[str, ...] = ()
    ordered: bool = False
    headers: tuple[str, ...] = ()
    subscription: str | None = None
    created_at: datetime
    previous_secret_until: datetime | None = None
    paused: PauseReason | None = None
    paused_detail: str = ""


class WebhookWithSecret(WebhookView):
    """The one time that the secret is shown."""

    secret: str


CREATE_WEBHOOK = Call("command.credentials.create-webhook", CreateWebhook, WebhookWithSecret)
CHANGE_WEBHOOK = Call("command.credentials.change-webhook", ChangeWebhook, WebhookView)
ROTATE_WEBHOOK = Call("command.credentials.rotate-webhook", RotateWebhookSecret, WebhookWithSecret)
PAUSE_WEBHOOK = Call("command.credentials.pause-webhook", PauseWebhook, WebhookView)
RESUME_WEBHOOK = Call("command.credentials.resume-webhook", ResumeWebhook, WebhookView)
DELETE_WEBHOOK = Call("command.credentials.delete-webhook", DeleteWebhook, Nothing)
GET_WEBHOOK = Call("query.credentials.webhook", GetWebhook, WebhookView)
LIST_WEBHOOKS = Call("query.credentials.webhooks", List, Page[WebhookView])


def wants(patterns: tuple[str, ...], kind: str) -> bool:
    """Whether one of the patterns means this kind. `*` means every kind but messages, which are named."""
    if kind == MESSAGE:
        return MESSAGE in patterns
    return any(
        pattern in (kind, "*") or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))
        for pattern in patterns
    )
