"""Protocol Buffers' wire format, by a table of fields: strict, and bounded by the payload's size.

Not the protobuf package: its messages take what is wrong in silence, and cannot say at which byte.
"""

from __future__ import annotations

import struct
from typing import Any, Literal, NamedTuple

from contracts.decoders.limits import ITEMS_MAX
from contracts.failures import Unprocessable

Kind = Literal["u32", "u64", "bool", "float", "double", "text", "bytes", "message"]
VARINT, FIXED64, SIZED, FIXED32 = 0, 1, 2, 5
_WIRES: dict[Kind, int] = {
    "u32": VARINT,
    "u64": VARINT,
    "bool": VARINT,
    "float": FIXED32,
    "double": FIXED64,
    "text": SIZED,
    "bytes": SIZED,
    "message": SIZED,
}
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")
_U32, _U64 = 2**32 - 1, 2**64 - 1


class Field(NamedTuple):
    name: str
    kind: Kind
    repeated: bool = False


Fields = dict[int, Field]  # by their numbers
Span = tuple[int, int]
"""Where an embedded message begins and ends."""


def wrong(what: str, at: int) -> Unprocessable:
    return Unprocessable("payload.not_sparkplug", f"{what}, at byte {at}", field=f"byte {at}")


def read(data: bytes, span: Span, fields: Fields) -> dict[str, Any]:
    """What stands there, by the fields' names; a message is its Span, a repeated field a list.

    Unknown fields are passed over, as the format wants it; groups are no part of it any more.
    """
    at, end = span
    values: dict[str, Any] = {}
    while at < end:
        start = at
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = _varint(data, at, end)
        field = fields.get(key >> 3)
        wire = key & 7
        if wire == VARINT and at < end and data[at] < 0x80:  # the usual one, by the short way
            value: Any = data[at]
            at += 1
        else:
            value, at = _value(data, at, end, wire)
        if key >> 3 == 0:
            raise wrong("a field of number 0", start)
        if field is None:
            continue
        name, kind, repeated = field
        if wire != _WIRES[kind]:
            if repeated and wire == SIZED and kind in ("u32", "u64"):
                values.setdefault(name, []).extend(_packed(data, value))
                continue
            raise wrong(f"`{name}` in wire type {wire}", start)
        if kind != "message":
            value = _converted(data, kind, value, start)
        if repeated:
            held = values.setdefault(name, [])
            if len(held) >= ITEMS_MAX:
                raise Unprocessable("payload.too_many", f"over {ITEMS_MAX} of `{name}` in a message")
            held.append(value)
        else:
            values[name] = value
    return values


def _value(data: bytes, at: int, end: int, wire: int) -> tuple[Any, int]:
    """A number, a Span, or where a fixed one stands; and what comes behind it."""
    start = at
    if wire == VARINT:
        return _varint(data, at, end)
    if wire == SIZED:
        size, at = _varint(data, at, end)
        if size > end - at:
            raise wrong(f"a length of {size} beyond what holds it", start)
        return (at, at + size), at + size
    if wire not in (FIXED32, FIXED64):
        raise wrong(f"wire type {wire}", start)
    at += 4 if wire == FIXED32 else 8
    if at > end:
        raise wrong("it ends within a number", start)
    return start, at


def _converted(data: bytes, kind: Kind, value: Any, start: int) -> Any:
    match kind:
        case "u32":
            return value & _U32  # a writer may have extended the sign
        case "u64":
            return value
        case "bool":
            return value != 0
        case "text":
            try:
                return data[value[0] : value[1]].decode()
            except UnicodeDecodeError:
                raise wrong("a text that is not UTF-8", start) from None
        case "bytes":
            return data[value[0] : value[1]]
        case "float":
            return _FLOAT.unpack_from(data, value)[0]
        case _:
            return _DOUBLE.unpack_from(data, value)[0]


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    start = at
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _U64, at
        shift += 7
        if shift >= 70:
            raise wrong("a number of more than ten bytes", start)
    raise wrong("it ends within a number", start)


def _packed(data: bytes, span: Span) -> list[int]:
    at, end = span
    values = []
    while at < end:
        value, at = _varint(data, at, end)
        values.append(value)
    return values
