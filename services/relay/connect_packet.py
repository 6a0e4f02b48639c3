"""The MQTT CONNECT packet, 3.1.1 and 5: read once, written again with another user name and password; pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

CONNECT = 0x10
BYTES_MAX = 256 * 1024 + 8 * 1024  # a will of the largest payload, and what stands around it
_USER, _PASSWORD, _WILL = 0x80, 0x40, 0x04
_LENGTH_BYTES_MAX = 4


class Malformed(ValueError):
    """No CONNECT packet."""


class ConnectPacket(NamedTuple):
    """`head` is everything before the flags, `body` everything between them and the user name."""

    head: bytes
    flags: int
    body: bytes
    username: bytes | None
    password: bytes | None

    def login(self, username: bytes, password: bytes) -> bytes:
        """The packet with these instead of its own."""
        rest = b"".join(
            (
                self.head,
                bytes((self.flags | _USER | _PASSWORD,)),
                self.body,
                _field(username),
                _field(password),
            )
        )
        return bytes((CONNECT,)) + _length(len(rest)) + rest


def read(data: bytes) -> tuple[ConnectPacket, bytes] | None:
    """The packet and what follows it; None while more is needed. Raises Malformed."""
    if data[:1] != b"\x10"[: len(data)]:
        raise Malformed("it does not begin with a CONNECT packet")
    bounds = _bounds(data, 1)
    if bounds is None:
        return None
    start, size = bounds
    if size > BYTES_MAX:
        raise Malformed(f"a CONNECT packet of {size} bytes")
    if len(data) < start + size:
        return None
    return _parse(data[start : start + size]), data[start + size :]


def _parse(packet: bytes) -> ConnectPacket:
    try:
        at = _after(packet, 0)  # protocol name
        level, flags = packet[at], packet[at + 1]
        head, start = packet[: at + 1], at + 2
        at = start + 2  # keep alive
        if level >= 5:
            at = _after_properties(packet, at)
        at = _after(packet, at)  # client id
        if flags & _WILL:
            if level >= 5:
                at = _after_properties(packet, at)
            at = _after(packet, _after(packet, at))
        body = packet[start:at]
        username = password = None
        if flags & _USER:
            username, at = packet[at + 2 : _after(packet, at)], _after(packet, at)
        if flags & _PASSWORD:
            password, at = packet[at + 2 : _after(packet, at)], _after(packet, at)
    except (IndexError, struct.error):
        raise Malformed("a CONNECT packet that ends too early") from None
    if at != len(packet):
        raise Malformed("a CONNECT packet with bytes that belong to nothing")
    return ConnectPacket(head, flags, body, username, password)


def _after(packet: bytes, at: int) -> int:
    """Where the field ends that begins here."""
    (size,) = struct.unpack_from(">H", packet, at)
    end: int = at + 2 + size
    if end > len(packet):
        raise IndexError
    return end


def _after_properties(packet: bytes, at: int) -> int:
    bounds = _bounds(packet, at)
    if bounds is None or sum(bounds) > len(packet):
        raise IndexError
    return sum(bounds)


def _bounds(data: bytes, at: int) -> tuple[int, int] | None:
    """Where what the variable length at `at` counts begins, and how long it is."""
    size = 0
    for index, byte in enumerate(data[at : at + _LENGTH_BYTES_MAX]):
        size |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return at + index + 1, size
    if len(data) >= at + _LENGTH_BYTES_MAX:
        raise Malformed("a length of more than four bytes")
    return None


def _length(size: int) -> bytes:
    encoded = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        encoded.append(low | 0x80 if size else low)
        if not size:
            return bytes(encoded)


def _field(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text
