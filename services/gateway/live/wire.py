"""Events as bytes on a socket: server-sent events (WHATWG HTML §9.2), or messages of a WebSocket (RFC 6455).

The bytes are whole (chunks of HTTP/1.1 §7.1, frames), so that many readers are given the same ones.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode
RETRY_MS = (500, 2000)  # with jitter, so that clients of a stopped server do not come back together
TEXT_FRAME = 0x81  # the last of its message, text


class Wire(Enum):
    CHUNKS = "text/event-stream in chunks"
    PLAIN = "text/event-stream until the connection ends"  # for HTTP/1.0
    FRAMES = "WebSocket"


class Event(NamedTuple):
    """`id` is the reader's position behind it, of events that move it; `data` is JSON."""

    id: str | None
    event: str
    data: bytes


def encoded(wire: Wire, events: Sequence[Event]) -> bytes:
    """All of them in one piece."""
    if wire is Wire.FRAMES:
        return b"".join(_frame(_message(event)) for event in events)
    return framed(wire, b"".join(_sent_event(event) for event in events))


def opening(wire: Wire) -> bytes:
    """Sent at once, so that proxies and clients see the stream begin."""
    retry_ms = random.randint(*RETRY_MS)
    if wire is Wire.FRAMES:
        return _frame(_message(Event(None, "open", _encode({"retry_ms": retry_ms}))))
    return framed(wire, f"retry: {retry_ms}\n: stream\n\n".encode())


def begins(wire: Wire, id: str) -> bytes:
    """Where a reader begins who named no place: one that hears nothing before it comes back misses nothing.

    An event without data is told to nobody, but its id is kept (WHATWG HTML §9.2.6).
    """
    return b"" if wire is Wire.FRAMES else framed(wire, b"id: %s\n\n" % id.encode())


def heartbeat(wire: Wire) -> bytes:
    return _frame(b'{"event":"heartbeat"}') if wire is Wire.FRAMES else framed(wire, b": \n\n")


def framed(wire: Wire, data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if wire is Wire.CHUNKS else data


def _sent_event(event: Event) -> bytes:
    id = b"" if event.id is None else b"id: %s\n" % event.id.encode()
    return b"%sevent: %s\ndata: %s\n\n" % (id, event.event.encode(), event.data)


def _message(event: Event) -> bytes:
    id = b"" if event.id is None else b'"id":"%s",' % event.id.encode()
    return b'{%s"event":"%s","data":%s}' % (id, event.event.encode(), event.data)


def _frame(data: bytes) -> bytes:
    """RFC 6455 §5.2: a server's are not masked."""
    size = len(data)
    if size < 126:
        return struct.pack("!BB", TEXT_FRAME, size) + data
    if size < 65536:
        return struct.pack("!BBH", TEXT_FRAME, 126, size) + data
    return struct.pack("!BBQ", TEXT_FRAME, 127, size) + data


def gap(log: str, reason: str, after: int, resumes_at: int) -> bytes:
    """Its data: entries of the log behind `after` may be missing: `trimmed` (too old), `recreated` (another log)."""
    return _encode({"log": log, "reason": reason, "last_event_id": after, "resumes_at": resumes_at})


def end(reason: str, detail: str, resume: bool) -> bytes:
    """The data of the last event."""
    return _encode({"reason": reason, "detail": detail, "resume": resume})
