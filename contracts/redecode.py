"""History decoded again: the readings of an integration's messages replaced by what another decoder says.

The order is an event of the REGISTRY: whoever reads those messages later (a rebuild) takes the decoder of the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.integrations import DecoderChoice
from contracts.subjects import HOSTED, HTTP
from contracts.telemetry import Limit, Value

SHOWN_MAX = 20  # readings of each kind in a preview
PREVIEW_MESSAGES_MAX = 5000
RETRY_MAX = 1000  # of one event, 64 KiB
RETRIES_MAX = 100  # that an organization may have open
State = Literal["ordered", "running", "paused", "settling", "cancelling", "done", "cancelled", "failed"]
Outcome = Literal["done", "cancelled", "failed"]


def sources_of(integration: str) -> tuple[str, ...]:
    """What comes by HTTP goes with the hosted broker, as its decoder does."""
    return (HOSTED, HTTP) if integration == HOSTED else (integration,)


def span(messages: Sequence[tuple[int, int]]) -> tuple[datetime, datetime]:
    """From the first of these messages on and before a moment behind the last."""
    times = [at for _, at in messages]
    return _moment(min(times)), _moment(max(times)) + timedelta(microseconds=1)


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC) + timedelta(
        microseconds=at_ns // 1000 % 1_000_000
    )


# events
class RedecodeOrdered(Event):
    """Of messages that were stored from `start` on and before `end`."""

    type = "redecode.ordered"
    integration: str
    start: datetime
    end: datetime
    decoder: DecoderChoice


class RetryOrdered(Event):
    """Of these messages alone, each by its sequence in MESSAGES and when it was stored (ns since 1970)."""

    type = "redecode.retry-ordered"
    integration: str
    messages: tuple[tuple[int, int], ...]
    decoder: DecoderChoice


class RedecodeEnded(Event):
    """`through_ns` is when the last message was stored to which it came (ns since 1970); None: to all of them."""

    type = "redecode.ended"
    outcome: Outcome
    through_ns: int | None = None


# to credentials, whose log has the order
class OrderRedecode(Request):
    """`end` is at most now. Refused("not_found") for an integration that there is not, Refused("redecode.running")
    while another one of the organization has not ended."""

    integration: str
    start: AwareDatetime
    end: AwareDatetime | None = None
    decoder: DecoderChoice


class RedecodeOrder(Model):
    id: str
    integration: str
    start: datetime
    end: datetime
    decoder: DecoderChoice


class OrderRetry(Request):
    """Telemetry's, for dead letters that somebody wants to be decoded now, as their integration says now."""

    integration: str
    messages: Annotated[tuple[tuple[int, int], ...], Field(min_length=1, max_length=RETRY_MAX)]
    decoder: DecoderChoice


class EndRedecode(Request):
    """Telemetry's, when a job ended; again is harmless."""

    id: str
    outcome: Outcome
    through_ns: int | None = None


# to telemetry, which carries it out
class ListRedecodes(Model):
    organization: str
    limit: Limit = 100
    cursor: str | None = None


class NamedRedecode(Request):
    id: str


class Redecode(Model):
    """A job. `progress` runs from 0 to 1; `log_from` is when the oldest message was stored that the log holds."""

    id: str
    integration_id: str
    start: datetime
    end: datetime
    decoder: DecoderChoice
    decoder_version: int
    state: State
    ordered_at: datetime
    began_at: datetime | None = None
    finished_at: datetime | None = None
    messages: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    failed: int = 0  # messages that cannot be decoded now, and could before
    resolved: int = 0  # messages that can be decoded now, and could not before
    progress: float = 0.0
    messages_per_s: float | None = None
    left_s: float | None = None
    log_from: datetime | None = None
    error: str | None = None


class PreviewRedecode(Request):
    integration: str
    start: AwareDatetime
    end: AwareDatetime | None = None
    decoder: DecoderChoice


class ReadingThen(Model):
    value: Value
    unit: str | None = None
    timestamp: datetime


class ReadingDiff(Model):
    """Before and after; None: there was none, or there is none."""

    device_id: str
    metric: str
    sequence: int  # of the message
    topic: str
    before: ReadingThen | None
    after: ReadingThen | None


class RedecodePreview(Model):
    """What a redecode would do; the counts are of the messages that were looked at."""

    messages: int
    complete: bool  # whether that is all of them
    looked_until: datetime | None  # when the last one was stored
    log_from: datetime | None
    added: int
    removed: int
    changed: int
    unchanged: int
    failed: int
    resolved: int
    samples_added: Annotated[list[ReadingDiff], Field(max_length=SHOWN_MAX)] = []
    samples_removed: Annotated[list[ReadingDiff], Field(max_length=SHOWN_MAX)] = []
    samples_changed: Annotated[list[ReadingDiff], Field(max_length=SHOWN_MAX)] = []
    failures: dict[str, int] = {}  # messages by failure code


class RedecodeAnswer(Model):
    """One of the two: a preview for a dry run, else the job."""

    preview: RedecodePreview | None = None
    job: Redecode | None = None


ORDER_REDECODE = Call("command.credentials.order-redecode", OrderRedecode, RedecodeOrder)
ORDER_RETRY = Call("command.credentials.order-retry", OrderRetry, RedecodeOrder)
END_REDECODE = Call("command.credentials.end-redecode", EndRedecode, Nothing)
PREVIEW_REDECODE = Call("query.telemetry.preview-redecode", PreviewRedecode, RedecodePreview, timeout_s=10.0)
LIST_REDECODES = Call("query.telemetry.redecodes", ListRedecodes, Page[Redecode], timeout_s=10.0)
GET_REDECODE = Call("query.telemetry.redecode", NamedRedecode, Redecode, timeout_s=10.0)
PAUSE_REDECODE = Call("command.telemetry.pause-redecode", NamedRedecode, Redecode)
RESUME_REDECODE = Call("command.telemetry.resume-redecode", NamedRedecode, Redecode)
CANCEL_REDECODE = Call("command.telemetry.cancel-redecode", NamedRedecode, Redecode)
