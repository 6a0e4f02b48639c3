"""MQTT packets out of a stream of bytes (3.1.1 §2, 5 §2): PUBLISH decoded, all others as they came. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

PUBLISH, PUBACK, PUBREC, PUBREL = 0x30, 0x40, 0x50, 0x60
# More than any message that the log takes (256 KiB and its topic): what is longer is not held in memory.
PACKET_BYTES_MAX = 512 * 1024
_TRACEPARENT = (
    b"\x26\x00\x0btraceparent\x00\x37"  # the property's only valid form: its value has 55 characters
)
_CORRELATION = b"\x09"  # the identifier of Correlation Data

_W3C = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Malformed(Exception):
    """These bytes are no MQTT."""


class Incoming(NamedTuple):
    topic: str
    payload: bytes | None  # None: too large to be held
    qos: int
    retain: bool
    dup: bool
    mid: int  # 0 for QoS 0
    traceparent: str | None
    properties: bytes = b""  # as they came, their length in front; only where Correlation Data may be in them


Split = tuple[list[Incoming], list[tuple[int, bytes]], bytes, int]


def split(data: bytes, skip: int, *, five: bool) -> Split:
    """PUBLISH packets, other packets (first byte, body), the bytes of an incomplete one, and how many of the
    bytes to come belong to a packet that is too large and already said.

    Raises Malformed.
    """
    messages: list[Incoming] = []
    others: list[tuple[int, bytes]] = []
    position, end_of_data = min(skip, len(data)), len(data)
    skip -= position
    while position < end_of_data:
        length, body = remaining_length(data, position + 1)
        if body < 0:
            break
        end = body + length
        command = data[position]
        if end > end_of_data:
            if length <= PACKET_BYTES_MAX:
                break
            if command & 0xF0 != PUBLISH:
                raise Malformed
            if end_of_data - body < 65_540:  # the longest topic and the packet id
                break
            messages.append(_publish(command, data, body, None, length, five=five))
            skip, position = end - end_of_data, end_of_data
            break
        if command & 0xF0 == PUBLISH:
            messages.append(_publish(command, data, body, end, length, five=five))
        else:
            others.append((command, data[body:end]))
        position = end
    return messages, others, data[position:], skip


def remaining_length(data: bytes, position: int) -> tuple[int, int]:
    """A length as a packet and its properties have one (5 §1.5.5), and where what it counts begins; −1 where its
    bytes have not all arrived.
    """
    length, shift = 0, 0
    for index in range(position, min(position + 4, len(data))):
        byte = data[index]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, index + 1
        shift += 7
    if len(data) >= position + 4:
        raise Malformed
    return 0, -1


def _publish(command: int, data: bytes, at: int, end: int | None, length: int, *, five: bool) -> Incoming:
    qos = (command >> 1) & 3
    topic_end = at + 2 + (data[at] << 8 | data[at + 1]) if length >= 2 else -1
    start = topic_end + 2 if qos else topic_end
    if qos == 3 or not at + 2 < topic_end or start > at + length:
        raise Malformed
    try:
        topic = data[at + 2 : topic_end].decode()
    except UnicodeDecodeError as error:
        raise Malformed from error
    mid = data[topic_end] << 8 | data[topic_end + 1] if qos else 0
    if qos and not mid:
        raise Malformed  # 3.1.1 §2.3.1: an acknowledgement could not be told from another
    traceparent, held = None, b""
    if five and end is not None:
        first = start
        properties, begin = remaining_length(data, start)
        start = begin + properties
        if begin < 0 or start > end:
            raise Malformed
        if properties:
            traceparent = _traceparent(data[begin:start])
            if _CORRELATION in data[begin:start]:
                held = data[first:start]
    payload = data[start:end] if end is not None else None
    return Incoming(topic, payload, qos, bool(command & 1), bool(command & 8), mid, traceparent, held)


def _traceparent(properties: bytes) -> str | None:
    at = properties.find(_TRACEPARENT)
    if at < 0:
        return None
    value = properties[at + len(_TRACEPARENT) : at + len(_TRACEPARENT) + 55]
    return value.decode() if _W3C.fullmatch(value) else None  # it becomes a header: nothing else may be in it


def acknowledgement(mid: int, qos: int) -> bytes:
    """The packet that makes the message ours: PUBACK, or PUBREC for QoS 2."""
    return bytes((PUBACK if qos == 1 else PUBREC, 2, mid >> 8, mid & 0xFF))
