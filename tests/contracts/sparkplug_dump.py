"""As much of a Sparkplug B writer as tests need: fields by number, in the protobuf wire format."""

from __future__ import annotations

import struct
from typing import Any

DEVICE_TIME_MS = 1_772_359_200_000  # 2026-03-01T10:00:00Z


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def sized(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def f32(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def f64(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def text_property(key: str, value: str) -> bytes:
    return sized(1, key) + sized(2, number(1, 12) + sized(8, value))


def int_property(key: str, value: int) -> bytes:
    return sized(1, key) + sized(2, number(1, 3) + number(3, value))


def metric(
    name: str | None = None,
    *values: bytes,
    alias: int | None = None,
    at: int | None = None,
    type: int | None = None,
    properties: bytes | None = None,
) -> bytes:
    """`values` are whole fields: `number(10, 5)`, `f64(13, 1.5)`, `number(7, 1)` for null, …"""
    parts = [
        sized(1, name) if name is not None else b"",
        number(2, alias) if alias is not None else b"",
        number(3, at) if at is not None else b"",
        number(4, type) if type is not None else b"",
        sized(9, properties) if properties is not None else b"",
        *values,
    ]
    return b"".join(parts)


def payload(*metrics: bytes, seq: int | None = None, at: int | None = DEVICE_TIME_MS) -> bytes:
    head = number(1, at) if at is not None else b""
    tail = number(3, seq) if seq is not None else b""
    return head + b"".join(sized(2, each) for each in metrics) + tail


def bd_seq(value: int) -> bytes:
    return metric("bdSeq", number(11, value), type=8)


def dataset(columns: list[str], types: list[int], rows: list[list[bytes]]) -> bytes:
    made = number(1, len(columns)) + b"".join(sized(2, each) for each in columns)
    made += b"".join(number(3, each) for each in types)
    return sized(17, made + b"".join(sized(4, b"".join(sized(1, cell) for cell in row)) for row in rows))


def template(*members: bytes, definition: bool = False, parameters: tuple[Any, ...] = ()) -> bytes:
    made = b"".join(sized(2, each) for each in members) + b"".join(sized(3, each) for each in parameters)
    return sized(18, made + number(5, definition))
