"""Control packets of MQTT 3.1.1 and 5 other than a PUBLISH that comes in (see `frames`). Pure.

What is made is made of checked values; what is read may be anything, and raises Malformed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.ingest.frames import Malformed, remaining_length
from services.ingest.reasons import FAILURE, of_311, words

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x80, 0x90, 0xA0, 0xB0
PINGREQ, PINGRESP, DISCONNECT, AUTH = 0xC0, 0xD0, 0xE0, 0xF0

PING = bytes((PINGREQ, 0))
GOODBYE = bytes((DISCONNECT, 0))

# Identifiers of properties (5 §2.2.2.2).
MESSAGE_EXPIRY, RESPONSE_TOPIC, CORRELATION_DATA = 2, 8, 9
SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEP_ALIVE, REASON_STRING = 17, 18, 19, 31
RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET_SIZE = 33, 36, 37, 39
# How they are written: so many bytes, a text (a length in front), two texts, a number of variable length.
_TEXT, _PAIR, _VARIABLE = 0, -1, -2
_SIZES = {
    1: 1, 2: 4, 3: _TEXT, 8: _TEXT, 9: _TEXT, 11: _VARIABLE, 17: 4, 18: _TEXT, 19: 2, 21: _TEXT, 22: _TEXT,
    23: 1, 24: 4, 25: 1, 26: _TEXT, 28: _TEXT, 31: _TEXT, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 38: _PAIR,
    39: 4, 40: 1, 41: 1, 42: 1,
}  # fmt: skip

Properties = Mapping[int, bytes]


class Login(NamedTuple):
    """Who we are to a broker. `clean`: it keeps nothing of an earlier connection, nor of this one."""

    client_id: str
    username: str | None
    password: str | None
    clean: bool


class Connack(NamedTuple):
    """`code` in 5's numbers."""

    code: int
    session_present: bool
    properties: Properties

    def number(self, identifier: int, default: int) -> int:
        return (
            int.from_bytes(self.properties[identifier], "big") if identifier in self.properties else default
        )

    @property
    def said(self) -> str:
        return words(self.code, self.properties.get(REASON_STRING))


class Ack(NamedTuple):
    """A PUBACK, PUBREC, PUBREL or PUBCOMP."""

    mid: int
    code: int
    said: str


def connect(
    login: Login, keepalive_s: int, *, five: bool, properties: Mapping[int, int] | None = None
) -> bytes:
    """`properties` (of numbers) need MQTT 5."""
    flags, tail = 0x02 if login.clean else 0, b""
    if login.username is not None:
        flags |= 0x80
        tail += text(login.username)
    if login.password is not None:
        flags |= 0x40
        tail += text(login.password)
    head = text("MQTT") + bytes((5 if five else 4, flags)) + keepalive_s.to_bytes(2, "big")
    if five:
        head += packed({id: value.to_bytes(_SIZES[id], "big") for id, value in (properties or {}).items()})
    return packet(CONNECT, head + text(login.client_id) + tail)


def subscribe(mid: int, filters: Sequence[tuple[str, int]], *, five: bool, options: int = 0) -> bytes:
    """Filters with their QoS; `options` are MQTT 5's further bits (5 §3.8.3.1), the same for each."""
    body = b"".join([text(filter) + bytes((qos | (options if five else 0),)) for filter, qos in filters])
    return packet(SUBSCRIBE | 2, mid.to_bytes(2, "big") + (b"\0" if five else b"") + body)


def unsubscribe(mid: int, filters: Sequence[str], *, five: bool) -> bytes:
    return packet(
        UNSUBSCRIBE | 2, mid.to_bytes(2, "big") + (b"\0" if five else b"") + b"".join(map(text, filters))
    )


def publish(
    mid: int,
    topic: str,
    payload: bytes,
    qos: int,
    *,
    retain: bool,
    five: bool,
    properties: Properties | None = None,
) -> bytes:
    head = (
        text(topic) + (mid.to_bytes(2, "big") if qos else b"") + (packed(properties or {}) if five else b"")
    )
    return packet(PUBLISH | qos << 1 | retain, head + payload)


def release(mid: int) -> bytes:
    """PUBREL."""
    return bytes((PUBREL | 2, 2, mid >> 8, mid & 0xFF))


def complete(mid: int) -> bytes:
    """PUBCOMP."""
    return bytes((PUBCOMP, 2, mid >> 8, mid & 0xFF))


def connack(body: bytes, *, five: bool) -> Connack:
    if len(body) < 2:
        raise Malformed
    present, code = bool(body[0] & 1), body[1]
    if not five or len(body) == 2:  # a broker that knows no 5 answers so to 5, too
        return Connack(of_311(code), present, {})
    found, _ = properties(body, 2)
    return Connack(code, present, found)


def suback(body: bytes, *, five: bool) -> tuple[int, list[int], bytes | None]:
    """Packet id, a code for each filter, the reason string; of an UNSUBACK too (3.1.1's has no codes)."""
    if len(body) < 2:
        raise Malformed
    found, at = properties(body, 2) if five else ({}, 2)
    return int.from_bytes(body[:2], "big"), list(body[at:]), found.get(REASON_STRING)


def ack(body: bytes, *, five: bool) -> Ack:
    if len(body) < 2:
        raise Malformed
    code = body[2] if five and len(body) > 2 else 0
    found = properties(body, 3)[0] if five and len(body) > 3 else {}
    return Ack(int.from_bytes(body[:2], "big"), code, words(code, found.get(REASON_STRING)))


def disconnect(body: bytes) -> tuple[int, str]:
    """Why the broker ends the connection (MQTT 5 alone says it)."""
    code = body[0] if body else 0
    found = properties(body, 1)[0] if len(body) > 1 else {}
    return code, words(code, found.get(REASON_STRING))


def failed(code: int) -> bool:
    return code >= FAILURE


def properties(data: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """By identifier (the last, where there are several), and where they end."""
    length, at = _variable(data, at)
    end = at + length
    if end > len(data):
        raise Malformed
    found: dict[int, bytes] = {}
    while at < end:
        identifier, at = data[at], at + 1
        size = _SIZES.get(identifier)
        if size is None:
            raise Malformed
        begin = at
        if size > 0:
            at += size
        elif size == _VARIABLE:
            _, at = _variable(data, at)
        else:
            for _ in range(1 - size):
                begin = at + 2
                at = begin + int.from_bytes(data[at:begin], "big")
        if at > end:
            raise Malformed
        found[identifier] = data[begin:at]
    return found, end


def packed(values: Properties) -> bytes:
    """Properties with their length; texts get theirs."""
    made = b"".join(
        [
            bytes((identifier,))
            + (value if _SIZES[identifier] > 0 else len(value).to_bytes(2, "big") + value)
            for identifier, value in values.items()
        ]
    )
    return _length(len(made)) + made


def packet(first_byte: int, body: bytes) -> bytes:
    return bytes((first_byte,)) + _length(len(body)) + body


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    made = bytearray()
    while True:
        size, digit = divmod(size, 128)
        made.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(made)


def _variable(data: bytes, at: int) -> tuple[int, int]:
    length, begin = remaining_length(data, at)
    if begin < 0:
        raise Malformed
    return length, begin
