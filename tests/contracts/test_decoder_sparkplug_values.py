"""Data types, structures, and the wire format below them."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.decoders import Message, get
from contracts.failures import Unprocessable
from tests.contracts.sparkplug_dump import (
    dataset,
    f32,
    f64,
    metric,
    number,
    payload,
    sized,
    template,
    varint,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
sparkplug = get("sparkplug-b")


def decode(data: bytes, **settings: Any) -> dict[str, Any]:
    message = Message("spBv1.0/plant/NDATA/line4", data, NOW)
    decoded = sparkplug.decode(message, sparkplug.Settings(**settings))
    return {reading.metric: reading.value for sample in decoded.samples for reading in sample.readings}


def reason(data: bytes, **settings: Any) -> tuple[str, str | None]:
    with pytest.raises(Unprocessable) as raised:
        decode(data, **settings)
    return raised.value.code, raised.value.field


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        (1, number(10, 0xFB), -5),  # Int8, as wide as its type
        (1, number(10, 2**32 - 5), -5),  # or as wide as the field
        (1, number(10, -5), -5),  # or extended to a whole varint
        (1, number(10, 127), 127),
        (2, number(10, 0x8000), -32768),
        (3, number(10, 2**31), -(2**31)),
        (4, number(11, -1), -1),
        (4, number(11, 2**63), -(2**63)),
        (5, number(10, 255), 255),
        (6, number(10, 65535), 65535),
        (7, number(10, 2**32 - 1), 2**32 - 1),
        (7, number(11, 2**32 - 1), 2**32 - 1),
        (8, number(11, 2**64 - 1), 1.8446744073709552e19),
        (9, f32(12, 0.5), 0.5),
        (10, f64(13, 1e300), 1e300),
        (11, number(14, 1), True),
        (11, number(10, 0), False),
        (12, sized(15, "grün"), "grün"),
        (13, number(11, 1_772_359_200_000), 1_772_359_200_000),
        (15, sized(15, "550e8400-e29b-41d4-a716-446655440000"), "550e8400-e29b-41d4-a716-446655440000"),
        (17, sized(16, b"\x01\xff"), "01ff"),
        (None, number(10, 5), 5),
    ],
)
def test_each_data_type(type: int | None, value: bytes, expected: Any) -> None:
    got = decode(payload(metric("m", value, type=type)))
    assert got == {"m": expected}
    assert got["m"].__class__ is expected.__class__


@pytest.mark.parametrize(
    ("type", "content", "expected"),
    [
        (22, b"\xff\x01", [-1, 1]),
        (25, struct.pack("<2q", -(2**63), 5), [-(2**63), 5]),
        (27, b"\xff\xff", [65535]),
        (30, struct.pack("<2f", 0.5, -2), [0.5, -2.0]),
        (31, struct.pack("<d", 1e-9), [1e-9]),
        (32, b"\x0a\0\0\0\b11"[:4] + bytes([0b10000000, 0b01000000]), [True, *[False] * 8, True]),
        (33, b"on\0off\0", ["on", "off"]),
        (34, struct.pack("<Q", 1_772_359_200_000), [1_772_359_200_000]),
        (30, b"", []),
    ],
)
def test_each_array_type(type: int, content: bytes, expected: list[Any]) -> None:
    assert decode(payload(metric("m", sized(16, content), type=type))) == {
        f"m.{at}": value for at, value in enumerate(expected)
    }


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (1, number(10, 256)),
        (2, number(10, 2**31)),
        (5, number(10, 256)),
        (7, number(11, 2**32)),
        (27, sized(16, b"\x01")),
        (32, sized(16, b"\x01\0\0")),
        (32, sized(16, b"\x09\0\0\0\xff")),
        (33, sized(16, b"open")),
        (33, sized(16, b"\xff\0")),
    ],
)
def test_a_value_beyond_its_data_type_is_a_dead_letter(type: int, value: bytes) -> None:
    assert reason(payload(metric("m", value, type=type))) == ("payload.not_sparkplug", "m")


def test_a_number_that_may_be_negative_needs_its_data_type() -> None:
    assert reason(payload(metric("m", number(10, 2**32 - 1)))) == ("payload.unsupported", "m")
    assert reason(payload(metric("m", number(11, 2**63)))) == ("payload.unsupported", "m")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    assert reason(payload(metric("m", f64(13, value)))) == ("value.not_finite", "m")
    assert reason(payload(metric("m", f32(12, value)))) == ("value.not_finite", "m")
    array = metric("m", sized(16, struct.pack("<2d", 1, value)), type=31)
    assert reason(payload(array)) == ("value.not_finite", "m")


def test_nulls_and_metrics_without_a_value_are_no_readings() -> None:
    data = payload(metric("a", f64(13, 1.0), number(7, 1)), metric("b"), metric("c", f64(13, 2.0)))
    assert decode(data) == {"c": 2.0}


def test_byte_strings_are_as_the_integration_wants_them() -> None:
    data = payload(metric("f", sized(16, b"\xfb\xff"), type=18), metric("t", f64(13, 1.0)))
    assert decode(data, byte_strings="base64") == {"f": "+/8=", "t": 1.0}
    assert decode(data, byte_strings="omit") == {"t": 1.0}
    assert reason(data, byte_strings="refuse")[0] == "payload.unsupported"
    assert reason(payload(metric("f", sized(16, bytes(600)), type=18))) == ("value.too_large", "f")


def test_a_data_set_is_flattened_by_row_and_column() -> None:
    held = dataset(["t", "on"], [3, 11], [[number(1, 2**32 - 1), number(5, 1)], [number(1, 5), b""]])
    assert decode(payload(metric("table", held, type=16))) == {
        "table.0.t": -1,
        "table.0.on": True,
        "table.1.t": 5,
    }


@pytest.mark.parametrize(
    ("held", "code"),
    [
        (dataset(["t"], [3, 3], []), "payload.not_sparkplug"),
        (dataset(["t"], [3], [[number(1, 1), number(1, 2)]]), "payload.not_sparkplug"),
        (dataset(["t"], [3], [[]] * 4097), "payload.too_many"),
        (dataset(["x" * 300], [3], [[b""]]), "metric.invalid"),
    ],
)
def test_a_data_set_that_does_not_fit_is_a_dead_letter(held: bytes, code: str) -> None:
    assert reason(payload(metric("table", held, type=16)))[0] == code


def test_a_template_is_flattened_and_its_definition_is_no_reading() -> None:
    inner = metric("inner", template(metric("x", f64(13, 1.0))), type=19)
    parameter = sized(1, "limit") + number(2, 3) + number(3, 5)
    held = template(metric("rpm", number(10, 900), type=7), inner, parameters=(parameter,))
    assert decode(payload(metric("motor", held, type=19))) == {
        "motor.rpm": 900,
        "motor.inner.x": 1.0,
        "motor.limit": 5,
    }
    defined = template(metric("rpm", number(10, 0), type=7), definition=True)
    assert decode(payload(metric("_types_/motor", defined, type=19))) == {}


def test_templates_in_templates_are_bounded() -> None:
    held = template(metric("x", f64(13, 1.0)))
    for _ in range(9):
        held = template(metric("t", held, type=19))
    assert reason(payload(metric("m", held, type=19)))[0] == "payload.too_deep"


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\x12", "byte 1"),  # a key without its value
        (b"\x12\x05ab", "byte 1"),  # a length beyond the end
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "byte 1"),
        (b"\x08" + b"\xff" * 11, "byte 1"),  # a number of eleven bytes
        (b"\x08\x80", "byte 1"),
        (b"\x00\x00", "byte 0"),  # field 0
        (b"\x0b", "byte 1"),  # a group
        (b"\x0a\x00", "byte 0"),  # the timestamp as a text
        (sized(2, b"\x0a\x02\xff\xfe"), "byte 2"),  # a name that is not UTF-8
        (sized(2, b"\x69\x00"), "byte 3"),  # half a double
        (sized(2, b"\x65\x00"), "byte 3"),  # half a float
    ],
)
def test_what_is_no_payload_is_a_dead_letter_that_names_the_byte(data: bytes, place: str) -> None:
    assert reason(data) == ("payload.not_sparkplug", place)


def test_unknown_fields_are_passed_over_and_the_last_of_two_values_counts() -> None:
    unknown = number(99, 5) + sized(100, b"x") + f32(101, 1.0) + f64(102, 1.0)
    assert decode(unknown + payload(metric("m", f64(13, 1.0), f64(13, 2.0), unknown))) == {"m": 2.0}


def test_repeated_numbers_may_be_packed() -> None:
    columns = b"".join(sized(2, name) for name in ("a", "b"))
    held = sized(17, columns + sized(3, varint(3) + varint(3)) + sized(4, sized(1, number(1, 1)) * 2))
    assert decode(payload(metric("d", held, type=16))) == {"d.0.a": 1, "d.0.b": 1}


def test_seq_is_below_256() -> None:
    assert reason(payload(metric("m", f64(13, 1.0)), seq=256)) == ("payload.not_sparkplug", "seq")


def test_an_empty_payload_was_heard() -> None:
    assert decode(b"") == {}
