"""What goes into a decoder and what comes out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from pydantic import BaseModel

# Bits of `Sample.flags` and `Presence.flags`: what is to be known of the time. A missing one is no fault.
UNPARSABLE = 1  # replaced by the received time: it was there, and is no time
FUTURE = 2  # replaced by the received time: it lay more than a day ahead
AMBIGUOUS = 4  # a local time that the clock showed twice, or never: taken as before the clock was put
REPLACED = UNPARSABLE | FUTURE

Value = float | int | bool | str


class Message(NamedTuple):
    """What a device sent, and how it came."""

    topic: str
    payload: bytes
    received: datetime  # aware, UTC
    hosted_device: str | None = None  # on the hosted broker the device, which the ACL vouches for
    prefix: str | None = None  # the integration's `topic_prefix`, a plain string


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


class Decoder(Protocol):
    """`decode` is pure and raises nothing but Unprocessable, whose code is the dead letter's reason."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def Settings(self) -> type[BaseModel]: ...  # noqa: N802 (it is a class)

    def decode(self, message: Message, settings: Any) -> Decoded: ...
