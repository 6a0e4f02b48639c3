"""What goes between pool and worker: frames of msgpack, each behind its length in four bytes."""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

LENGTH = struct.Struct(">I")
PROGRESS = struct.Struct(
    "=q"
)  # in shared memory: which message is at work, counted from 1; it outlives the worker

Kind = Literal["value", "failed", "unreadable", "not_json", "too_large"]


class Asked(msgspec.Struct, array_like=True, frozen=True):
    """One message for a rule."""

    topic: str
    payload: bytes
    received_ms: int  # since the epoch


class Job(msgspec.Struct, array_like=True):
    language: str
    source: str
    messages: list[Asked]


class Outcome(msgspec.Struct, array_like=True):
    """`value` is what the rule gave, or words about what went wrong; `unreadable` is the rule itself."""

    kind: Kind
    value: Any = None


class Hello(msgspec.Struct, array_like=True):
    """A worker's first frame."""

    filtered: bool  # whether the kernel refuses its system calls
