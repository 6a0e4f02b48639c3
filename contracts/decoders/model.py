"""What goes into a decoder and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
from pydantic import BaseModel

from contracts.failures import Unprocessable

# Bits of `Sample.flags` and `Presence.flags`: what to know before relying on it. A missing time is no fault.
UNPARSABLE = 1  # replaced by the received time: it was there, and is no time
FUTURE = 2  # replaced by the received time: it lay more than a day ahead
AMBIGUOUS = 4  # a local time that the clock showed twice, or never: taken as before the clock was put
OLD = 8  # before the year 2000: a clock that was never set
HISTORICAL = 16  # the device says that it is sent late (Sparkplug's is_historical)
DOUBTFUL = 32  # the device says that it is bad or stale (Sparkplug's Quality)
GAP = 64  # messages of the same sender are missing before it (Sparkplug's seq)
REPLACED = UNPARSABLE | FUTURE
FLAGS = {
    UNPARSABLE: "time_unparsable",
    FUTURE: "time_future",
    AMBIGUOUS: "time_ambiguous",
    OLD: "time_old",
    HISTORICAL: "historical",
    DOUBTFUL: "doubtful",
    GAP: "gap_before",
}
"""Their names in the API."""

Value = float | int | bool | str


class State(NamedTuple):
    """What a decoder learnt from a sender's earlier messages, and needs for the next ones."""

    parts: Mapping[str, Any]  # none is ever changed in place: those that are other objects are stored anew
    counter: int = -1  # moves with every message; -1 where it is not known


class Message(NamedTuple):
    """What a device sent, and how it came."""

    topic: str
    payload: bytes
    received: datetime  # aware, UTC
    hosted_device: str | None = None  # on the hosted broker the device, which the ACL vouches for
    prefix: str | None = None  # the integration's `topic_prefix`, a plain string
    state: State | None = None  # of a Stateful decoder: after the message before this one, by `state_key`
    # By HTTP too the sender's filters cover the topic alone: what a payload says must not make it another device.
    http_device: str | None = None

    @property
    def vouched_device(self) -> str | None:
        """The device that the topic names, where its ACL was checked; it outranks whatever the payload says."""
        return self.hosted_device or self.http_device


class Reading(NamedTuple):
    metric: str  # in the device's spelling
    value: Value
    unit: str | None = None


class Sample(msgspec.Struct):
    """What one device measured at one time; no readings means that it was heard, no more."""

    device_id: str
    time: datetime  # aware, UTC
    flags: int
    readings: list[Reading]


class Presence(msgspec.Struct):
    """That a device came or went."""

    device_id: str
    online: bool
    reason: str  # the channel that said so: status, lwt, last-will
    time: datetime
    flags: int = 0
    word: str | None = None  # the device's own, of a status


class Reply(msgspec.Struct):
    """What the device waits for, to be published once its message is in the log."""

    topic: str
    payload: bytes


class Decoded(msgspec.Struct):
    """All that a message said; nothing at all where it is to be stored only."""

    samples: list[Sample] = []
    presence: Presence | None = None
    reply: Reply | None = None
    presences: list[Presence] = []  # where one message speaks of many devices; `presence` is not among them
    state: State | None = None  # None: as it was before


class UnprocessableWithState(Unprocessable):
    """The message is a dead letter, and yet what is known of its sender is another thing than before."""

    def __init__(self, code: str, detail: str, state: State, *, field: str | None = None) -> None:
        super().__init__(code, detail, field=field)
        self.state = state


class Example(NamedTuple):
    """A message that the decoder reads, for documents and forms."""

    topic: str
    payload: bytes


class Decoder(Protocol):
    """`decode` is pure and raises nothing but Unprocessable, whose code is the dead letter's reason."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def description(self) -> str:
        """For people who choose: one or two sentences."""
        ...

    @property
    def example(self) -> Example: ...

    @property
    def Settings(self) -> type[BaseModel]: ...  # noqa: N802 (it is a class)

    def decode(self, message: Message, settings: Any) -> Decoded: ...


@runtime_checkable
class Replying(Protocol):
    """A decoder whose devices wait for an answer."""

    def reply(self, topic: str, payload: bytes) -> Reply | None: ...


@runtime_checkable
class Stateful(Protocol):
    """A decoder that reads a message by what came before it from the same sender.

    It stays pure: whoever calls it keeps a State for each (organization, source, `state_key`), hands it in with
    the message and takes the new one out of Decoded or UnprocessableWithState. The same messages in the same
    order give the same readings, so a rebuild needs nothing but the log.
    """

    def state_key(self, topic: str) -> str | None:
        """Whose state this message needs; None where it needs none."""
        ...

    def dump(self, part: Any) -> bytes:
        """One of `State.parts`, to be stored."""
        ...

    def load(self, stored: bytes) -> Any: ...
