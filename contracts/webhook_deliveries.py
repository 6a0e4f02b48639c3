"""Calls to webhooks: what is kept of each, what is told of them, and what may be asked of them.

What is kept stands in DELIVERIES under `delivery.<org>.<webhook>.<slot>`, one entry a slot: references into the logs,
never bodies. A webhook has so many slots and no more (ADR 28).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.links import LinkCall, LinkRequest
from contracts.telemetry import Limit
from contracts.webhook_fields import Url
from contracts.webhooks import PauseReason

BATCH_MESSAGES_MAX = 100  # of a call
BATCH_BYTES_MAX = 512 * 1024  # of payload, which one message alone may exceed
LIVE_MAX = 200  # calls that wait or are under way; above it the webhook's place in the logs stays where it is
SLOTS = 300  # what is above LIVE_MAX shows the calls that succeeded last
DEAD_SLOTS = 1000  # the oldest of more is let go of
ANSWER_BYTES_SHOWN = 1024
TEST_S = 20.0  # longer than a call may take

DeliveryState = Literal["pending", "waiting", "delivered", "dead"]
"""Under way or about to be; failed and to be tried again; answered with 2xx; given up."""
Source = Literal["ACTIVITY", "ALERTS", "MESSAGES"]
Step = Literal["settings", "dns", "address", "tcp", "tls", "http"]


class Outcome(Model):
    """Of one attempt. `code` is of contracts.failures, None after 2xx."""

    at: datetime
    duration_ms: float
    status: int | None = None  # of HTTP
    code: str | None = None
    detail: str = ""


class DeliveryRecord(Model):
    """One call. `number` counts them; of one `lane` (a device, "" for none) they go one after the other.

    `step` counts the attempts that were due by the schedule, `attempts` all. `through` is how far the webhook is in
    the stream with this call planned, `at_ns` when that message was stored.
    """

    id: str  # the header webhook-id: the same in every attempt
    number: int
    type: str
    source: Source
    epoch: str  # when the stream was created
    sequences: tuple[int, ...]
    size: int = 0  # of their payloads
    through: int
    at_ns: int
    lane: str | None = None
    device_id: str | None = None
    planned_at: datetime
    state: DeliveryState = "pending"
    attempts: int = 0
    step: int = 0
    next_at: datetime | None = None
    last: Outcome | None = None


class Place(Model):
    """How far a webhook is in a stream; `pending` messages were behind it when this was written."""

    epoch: str
    sequence: int
    at_ns: int
    pending: int = 0


class Standing(Model):
    """How a webhook is doing, in the slot `state`."""

    places: dict[Source, Place] = {}
    failing_since: datetime | None = None
    failures: int = 0  # in a row
    delivered: int = 0  # calls, since it was made
    failed: int = 0  # attempts
    dead: int = 0
    skipped: int = 0  # messages that the log had let go of before their turn
    last_success_at: datetime | None = None
    last_failure: Outcome | None = None
    waiting: int = 0
    resumed: int = 0  # the sequence of the resumption that was followed last


class WebhookDelivery(Model):
    """A call. `messages`: how many it carries, where its type is `message`."""

    id: str
    type: str
    state: DeliveryState
    device_id: str | None = None
    messages: int | None = None
    planned_at: datetime
    attempts: int
    next_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    status: int | None = None
    duration_ms: float | None = None
    code: str | None = None
    detail: str = ""


class WebhookState(Model):
    """`behind`: messages and events that lie in the logs and have had no call yet, by log; of them some may not be
    meant for this webhook. `waiting`: calls that failed and are tried again."""

    state: Literal["healthy", "failing", "paused"]
    paused: PauseReason | None = None
    failing_since: datetime | None = None
    failures: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    skipped: int = 0
    waiting: int = 0
    behind: dict[Source, int] = {}
    last_success_at: datetime | None = None
    last_failure: Outcome | None = None


class GetWebhookState(Request):
    webhook: str
    paused: PauseReason | None = None


class ListDeliveries(Request):
    """The newest first."""

    webhook: str
    state: DeliveryState | None = None
    limit: Limit = 100
    cursor: str | None = None


class TestWebhook(Request):
    """Sends a call of type `webhook.test` now, whether it is paused or not."""

    webhook: str


class CheckUrl(Request):
    """Whether the address may be called: Refused("address.forbidden"), ("webhook.insecure")."""

    url: Url


class WebhookTested(Model):
    """What was sent (values of your own headers are left out), and what came back.

    `step` and `code` say what failed, where it did; `answer` is the first KiB of the answer.
    """

    ok: bool
    url: str
    headers: dict[str, str]
    body: str
    duration_ms: float
    status: int | None = None
    answer: str | None = None
    step: Step | None = None
    code: str | None = None
    detail: str = ""


class RetryDeliveries(LinkRequest):
    """The one with this id, or all that are dead. Refused("not_found"), ("webhook.paused")."""

    delivery: Annotated[str, StringConstraints(max_length=128)] | None = None


class DeliveriesRetried(Model):
    """How many are tried again now."""

    retried: Annotated[int, Field(ge=0)]


GET_WEBHOOK_STATE = Call("query.ingest.webhook-state", GetWebhookState, WebhookState)
LIST_DELIVERIES = Call("query.ingest.webhook-deliveries", ListDeliveries, Page[WebhookDelivery])
TEST_WEBHOOK = Call("command.ingest.test-webhook", TestWebhook, WebhookTested, timeout_s=TEST_S + 5)
CHECK_WEBHOOK_URL = Call("command.ingest.check-webhook-url", CheckUrl, Nothing, timeout_s=6.0)
RETRY_DELIVERIES = LinkCall(
    "retry-deliveries", RetryDeliveries, DeliveriesRetried, nobody="service.unavailable"
)
