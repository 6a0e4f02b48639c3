"""Sparkplug B's payload (Eclipse Sparkplug 3.0, chapter 6): its fields, and the values of its data types."""

from __future__ import annotations

import struct
from typing import Any

from contracts.decoders.limits import INT_MAX, READINGS_MAX
from contracts.decoders.protobuf import Field, Fields, read
from contracts.failures import Unprocessable

PAYLOAD: Fields = {
    1: Field("timestamp", "u64"),
    2: Field("metrics", "message", repeated=True),
    3: Field("seq", "u64"),
}
METRIC: Fields = {
    1: Field("name", "text"),
    2: Field("alias", "u64"),
    3: Field("timestamp", "u64"),
    4: Field("datatype", "u32"),
    5: Field("historical", "bool"),
    7: Field("null", "bool"),
    9: Field("properties", "message"),
    10: Field("int", "u32"),
    11: Field("long", "u64"),
    12: Field("float", "float"),
    13: Field("double", "double"),
    14: Field("boolean", "bool"),
    15: Field("text", "text"),
    16: Field("bytes", "bytes"),
    17: Field("dataset", "message"),
    18: Field("template", "message"),
}
PROPERTIES: Fields = {
    1: Field("keys", "text", repeated=True),
    2: Field("values", "message", repeated=True),
}
PROPERTY: Fields = {
    1: Field("datatype", "u32"),
    2: Field("null", "bool"),
    3: Field("int", "u32"),
    4: Field("long", "u64"),
    8: Field("text", "text"),
}
DATASET: Fields = {
    2: Field("columns", "text", repeated=True),
    3: Field("types", "u32", repeated=True),
    4: Field("rows", "message", repeated=True),
}
ROW: Fields = {1: Field("elements", "message", repeated=True)}
ELEMENT: Fields = {
    1: Field("int", "u32"),
    2: Field("long", "u64"),
    3: Field("float", "float"),
    4: Field("double", "double"),
    5: Field("boolean", "bool"),
    6: Field("text", "text"),
}
TEMPLATE: Fields = {
    2: Field("metrics", "message", repeated=True),
    3: Field("parameters", "message", repeated=True),
    5: Field("definition", "bool"),
}
PARAMETER: Fields = {
    1: Field("name", "text"),
    2: Field("datatype", "u32"),
    3: Field("int", "u32"),
    4: Field("long", "u64"),
    5: Field("float", "float"),
    6: Field("double", "double"),
    7: Field("boolean", "bool"),
    8: Field("text", "text"),
}

# Data types by their numbers, §6.4.16: bits of the signed and of the unsigned whole numbers.
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED = {5: 8, 6: 16, 7: 32, 8: 64, 13: 64}  # 13 is DateTime, in milliseconds
_ARRAYS = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d", 34: "Q"}
_BOOLEANS, _TEXTS = 32, 33


def metrics(data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A payload, and its metrics by their fields' names."""
    payload = read(data, (0, len(data)), PAYLOAD)
    spans = payload.get("metrics", ())
    if len(spans) > READINGS_MAX:
        raise Unprocessable("payload.too_many", f"over {READINGS_MAX} metrics in one message")
    return payload, [read(data, span, METRIC) for span in spans]


def scalar(held: dict[str, Any], datatype: int | None, name: str) -> Any:
    """A number, boolean, text or bytes; None where there is none. A list, of an array type."""
    if held.get("null"):
        return None
    if (whole := held.get("int", held.get("long"))) is not None:
        return _whole(whole, datatype, "int" in held, name)
    for kind in ("double", "float", "boolean", "text"):
        if kind in held:
            return held[kind]
    content = held.get("bytes")
    return _array(content, datatype, name) if content is not None and datatype in range(22, 35) else content


def _whole(value: int, datatype: int | None, short: bool, name: str) -> int | bool:
    if datatype == 11:
        return value != 0
    if bits := _SIGNED.get(datatype or 0):
        # Two's complement, as wide as its type, or as wide as the field that carries it.
        for width in (bits, 32 if short else 64):
            signed = value - (1 << width) if value >> (width - 1) & 1 else value
            if value < 1 << width and -(1 << (bits - 1)) <= signed < 1 << (bits - 1):
                return signed
        raise _out_of_range(datatype, name)
    if bits := _UNSIGNED.get(datatype or 0):
        if value >= 1 << bits:
            raise _out_of_range(datatype, name)
        return value
    if value > (2**31 - 1 if short else INT_MAX):  # without a type it could be negative as well
        raise Unprocessable(
            "payload.unsupported",
            "a whole number whose data type neither it nor its birth gives",
            field=name[:80],
        )
    return value


def _out_of_range(datatype: int | None, name: str) -> Unprocessable:
    return Unprocessable(
        "payload.not_sparkplug", f"beyond the range of data type {datatype}", field=name[:80]
    )


def _array(content: bytes, datatype: int | None, name: str) -> list[Any]:
    """§6.4.17: little-endian; booleans as bits behind their count, texts each with a NUL behind it."""
    if datatype == _TEXTS:
        try:
            texts = content.decode().split("\0")
        except UnicodeDecodeError:
            raise _bad_array(name) from None
        if texts.pop():
            raise _bad_array(name)
        _bounded(len(texts), name)
        return list(texts)
    if datatype == _BOOLEANS:
        count = int.from_bytes(content[:4], "little")
        bits = content[4:]
        _bounded(count, name)
        if len(content) < 4 or len(bits) != (count + 7) // 8:
            raise _bad_array(name)
        return [bool(bits[at >> 3] >> (7 - at % 8) & 1) for at in range(count)]
    letter = _ARRAYS[datatype or 0]
    size = struct.calcsize(f"<{letter}")
    if len(content) % size:
        raise _bad_array(name)
    _bounded(len(content) // size, name)
    return list(struct.unpack(f"<{len(content) // size}{letter}", content))


def _bounded(count: int, name: str) -> None:
    if count > READINGS_MAX:
        raise Unprocessable("payload.too_many", f"over {READINGS_MAX} values in an array", field=name[:80])


def _bad_array(name: str) -> Unprocessable:
    return Unprocessable("payload.not_sparkplug", "an array that is not of its data type", field=name[:80])


def properties(data: bytes, metric: dict[str, Any]) -> dict[str, Any]:
    """Those that are texts or whole numbers."""
    span = metric.get("properties")
    if span is None:
        return {}
    held = read(data, span, PROPERTIES)
    keys, values = held.get("keys", ()), held.get("values", ())
    if len(keys) != len(values):
        raise Unprocessable("payload.not_sparkplug", "properties with more keys than values, or fewer")
    found = ((key, read(data, value, PROPERTY)) for key, value in zip(keys, values, strict=True))
    return {key: value.get("text", value.get("int", value.get("long"))) for key, value in found}
