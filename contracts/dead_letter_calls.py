"""Dead letters: what is asked of them, what is done with them, and the events of it, which stand beside them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from contracts.calls import Call, Model, Page, Request
from contracts.envelope import Event

State = Literal["open", "resolved", "discarded"]
LetterId = Annotated[str, StringConstraints(pattern=r"^dl_[0-9a-f]{24}$")]
IDS_MAX = 500  # of an event, and of a request: 16 KiB
AT_ONCE_MAX = 10_000  # chosen by a filter: some seconds of work; more is said, and done by asking again


def letter_id(stream_created: str, sequence: int) -> str:
    """The same for ever for the same message, however often it is written."""
    return "dl_" + hashlib.sha256(f"{stream_created}-{sequence}".encode()).hexdigest()[:24]


# events
class DeadLettersDiscarded(Event):
    """Somebody has seen them and wants no readings of them; the messages stay in MESSAGES."""

    type = "dead-letters.discarded"
    ids: tuple[str, ...]


class DeadLettersResolved(Event):
    """Their messages are decoded now: their readings are stored."""

    type = "dead-letters.resolved"
    ids: tuple[str, ...]


# queries
class DeadLetterFilter(Model):
    """All that is given must hold."""

    state: State | None = "open"
    reason: Annotated[str, StringConstraints(max_length=100)] | None = None
    decoder: Annotated[str, StringConstraints(max_length=100)] | None = None
    integration_id: Annotated[str, StringConstraints(max_length=100)] | None = None
    topic: Annotated[str, StringConstraints(max_length=1024)] | None = None  # exactly this one
    from_: AwareDatetime | None = None  # received, inclusive
    to: AwareDatetime | None = None  # exclusive


class ListDeadLetters(DeadLetterFilter):
    organization: str
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


class GetDeadLetter(Model):
    organization: str
    id: str


class CountDeadLetters(DeadLetterFilter):
    organization: str


class DeadLetterRow(Model):
    """A message that could not be decoded; `reason` is a failure code, `detail` says where in the payload."""

    id: str
    state: State
    received_at: datetime
    reason: str
    detail: str
    decoder: str
    integration_id: str  # `hosted`, `http` or an integration's id
    topic: str
    payload_bytes: int
    preview: str  # the payload's beginning as text, what is no UTF-8 replaced
    closed_at: datetime | None = None
    closed_by: str | None = None
    sequence: int  # of the message in MESSAGES


class DeadLetter(DeadLetterRow):
    """With the whole payload, as each can be read."""

    payload_base64: str
    payload_text: str | None = None  # where it is UTF-8
    payload_hex: str  # as `hexdump -C` shows it, of the first 4 KiB


class DeadLetterCount(Model):
    reason: str
    decoder: str
    integration_id: str
    count: int
    first_at: datetime
    last_at: datetime


class DeadLetterCounts(Model):
    total: int
    items: list[DeadLetterCount]  # the most frequent first; at most 1,000


# commands
class ChooseDeadLetters(Request):
    """By their ids, or all open ones that a filter matches, oldest first."""

    ids: Annotated[tuple[LetterId, ...], Field(max_length=IDS_MAX)] = ()
    filter: DeadLetterFilter | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ChooseDeadLetters:
        if bool(self.ids) == (self.filter is not None):
            raise ValueError("give `ids` or `filter`")
        return self


class DiscardDeadLetters(ChooseDeadLetters):
    pass


class RetryDeadLetters(ChooseDeadLetters):
    """With the decoder that their integrations have now."""


class Retried(Model):
    """`jobs` are redecodes; where `finished`, `resolved` is final. `gone`: the log holds the message no longer.

    `more`: others match, ask again.
    """

    chosen: int
    resolved: int
    gone: int = 0
    finished: bool
    jobs: list[str] = []
    more: bool = False


class Discarded(Model):
    """`more`: others match, ask again."""

    discarded: int
    more: bool = False


LIST_DEAD_LETTERS = Call("query.telemetry.dead-letters", ListDeadLetters, Page[DeadLetterRow], timeout_s=10.0)
GET_DEAD_LETTER = Call("query.telemetry.dead-letter", GetDeadLetter, DeadLetter, timeout_s=10.0)
COUNT_DEAD_LETTERS = Call(
    "query.telemetry.dead-letter-counts", CountDeadLetters, DeadLetterCounts, timeout_s=10.0
)
RETRY_DEAD_LETTERS = Call("command.telemetry.retry-dead-letters", RetryDeadLetters, Retried, timeout_s=20.0)
DISCARD_DEAD_LETTERS = Call(
    "command.telemetry.discard-dead-letters", DiscardDeadLetters, Discarded, timeout_s=20.0
)
