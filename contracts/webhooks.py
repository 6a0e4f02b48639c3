"""Webhooks: what happens in an organization, sent to an address of its own as Standard Webhooks.

Headers, signature and secret are those of the specification, version 1.0.0
(github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from contracts.broker_topics import TopicFilter
from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.credentials import DeviceId
from contracts.envelope import Event
from contracts.organizations import List, Name

WEBHOOKS_MAX = 20  # of an organization; those of subscriptions besides, as many as there are subscriptions
EVENTS_MAX, FILTERS_MAX, DEVICES_MAX = 50, 20, 100
URL_CHARS_MAX = 2048
HEADERS_MAX, HEADER_CHARS_MAX = 10, 1024
GRACE_SECONDS_MAX = 7 * 24 * 3600
SECRET_PREFIX, SECRET_BYTES = "whsec_", 32  # the specification demands 24 to 64 bytes
MESSAGE = "message"

PauseReason = Literal["gone", "failing", "person"]
"""The receiver answered 410; nothing but failures for days; somebody asked for it."""

_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,63}(\.[a-z0-9_-]{1,64}){0,4}(\.\*)?|\*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token (RFC 9110 §5.6.2)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What the connection, the specification or the body decides.
_OWN_HEADERS = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection",
     "keep-alive", "upgrade", "te", "trailer", "expect", "user-agent", "date")
)  # fmt: skip
_OWN_PREFIXES = ("webhook-", "proxy-")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        wrong = _objection(text, parts)
    except ValueError as error:
        raise ValueError("it is no URL") from error
    if wrong is not None:
        raise ValueError(wrong)
    return text


def _objection(text: str, parts: SplitResult) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return "it holds what no URL holds; percent-encode it, and write names in punycode"
    if parts.scheme not in ("https", "http"):
        return "it begins with https://"
    if parts.username is not None or parts.password is not None:
        return "no user and password in it: send them as a header, whose value is kept as a secret"
    if not parts.hostname:
        return "it names no host"
    if parts.port == 0:
        return "a port lies between 1 and 65535"
    if "#" in text:
        return "a fragment is never sent"
    return None


def _header_name(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError("it is no name of a header")
    if name.lower() in _OWN_HEADERS or name.lower().startswith(_OWN_PREFIXES):
        raise ValueError("this header is not yours to set")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("visible ASCII characters and spaces between them")
    return value


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise ValueError("a kind (`link.down`), all below one (`link.*`), `message`, or `*`")
    return text


def _filter(text: str) -> str:
    return TopicFilter(filter=text).filter


Url = Annotated[str, StringConstraints(min_length=8, max_length=URL_CHARS_MAX), AfterValidator(_url)]
Pattern = Annotated[str, StringConstraints(max_length=200), AfterValidator(_pattern)]
Filter = Annotated[str, AfterValidator(_filter)]
Events = Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=EVENTS_MAX)]
TopicFilters = Annotated[tuple[Filter, ...], Field(max_length=FILTERS_MAX)]
Devices = Annotated[tuple[DeviceId, ...], Field(max_length=DEVICES_MAX)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[
    SecretStr, Field(min_length=1, max_length=HEADER_CHARS_MAX), AfterValidator(_header_value)
]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=HEADERS_MAX)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GraceSeconds = Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)]


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
