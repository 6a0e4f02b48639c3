"""Bytes are written out where the form is tested (RFC 8949, appendix A), else made by `dump`."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.decoders import Decoded, Message, Presence, Reading, Sample, get
from contracts.failures import Unprocessable
from tests.contracts.cbor_dump import dump

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
cbor = get("cbor")


def decode(payload: bytes, topic: str = "devices/s1/telemetry", **settings: Any) -> Decoded:
    return cbor.decode(Message(topic, payload, NOW), cbor.Settings(**settings))


def value(hexadecimal: str, **settings: Any) -> Any:
    (sample,) = decode(bytes.fromhex(hexadecimal), "devices/s1/x", **settings).samples
    return {reading.metric: reading.value for reading in sample.readings}


def reason(payload: bytes, **settings: Any) -> tuple[str, str | None]:
    with pytest.raises(Unprocessable) as raised:
        decode(payload, **settings)
    return raised.value.code, raised.value.field


def test_an_object_is_read_as_standard_reads_it_in_json() -> None:
    payload = dump(
        {"id": "s2", "data": {"env": {"t": 21.5}, "volts": [3.1, 3], "door": True}, "ts": 1772359200}
    )
    assert decode(payload, "plant/x").samples == [
        Sample(
            "s2",
            datetime(2026, 3, 1, 10, tzinfo=UTC),
            0,
            [Reading("env.t", 21.5), Reading("volts.0", 3.1), Reading("volts.1", 3), Reading("door", True)],
        )
    ]


@pytest.mark.parametrize(
    ("hexadecimal", "expected"),
    [
        ("00", 0),
        ("1864", 100),
        ("1bffffffffffffffff", 1.8446744073709552e19),
        ("20", -1),
        ("3bffffffffffffffff", -1.8446744073709552e19),
        ("f93e00", 1.5),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f5", True),
        ("6449455446", "IETF"),
        ("62c3bc", "ü"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("c249010000000000000000", 1.8446744073709552e19),
        ("c48221196ab3", 273.15),
        ("c5822003", 1.5),
        ("d9d9f71864", 100),
        ("4401020304", "01020304"),
        ("5f42010243030405ff", "0102030405"),
    ],
)
def test_each_notation_of_a_scalar(hexadecimal: str, expected: Any) -> None:
    assert value(hexadecimal) == {"x": expected}


@pytest.mark.parametrize(
    ("hexadecimal", "expected"),
    [
        ("83010203", {"x.0": 1, "x.1": 2, "x.2": 3}),
        ("9f0102ff", {"x.0": 1, "x.1": 2}),
        ("bf61610161629f02ffff", {"a": 1, "b.0": 2}),
        ("a201020304", {"1": 2, "3": 4}),
        ("a16161f6", {}),
        ("a16161f7", {}),
    ],
)
def test_each_notation_of_a_structure(hexadecimal: str, expected: Any) -> None:
    assert value(hexadecimal) == expected


def test_byte_strings_are_as_the_integration_wants_them() -> None:
    assert value("a1616142fbff", byte_strings="base64") == {"a": "+/8="}
    assert reason(bytes.fromhex("a1616142fbff"), byte_strings="refuse")[0] == "payload.unsupported"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_and_the_byte_is_named(number: float) -> None:
    payload = b"\xa1\x61a\xfb" + struct.pack(">d", number)
    assert reason(payload) == ("value.not_finite", "byte 4")


@pytest.mark.parametrize(
    ("hexadecimal", "code", "field"),
    [
        ("", "payload.empty", None),
        ("a1", "payload.not_cbor", "byte 1"),
        ("18", "payload.not_cbor", "byte 1"),
        ("6261", "payload.not_cbor", "byte 1"),
        ("0001", "payload.not_cbor", "byte 1"),
        ("1c", "payload.not_cbor", "byte 0"),
        ("1f", "payload.not_cbor", "byte 0"),
        ("ff", "payload.not_cbor", "byte 0"),
        ("61ff", "payload.not_cbor", "byte 2"),
        ("f8ff", "payload.not_cbor", "byte 0"),
        ("a2616101616102", "payload.not_cbor", "byte 4"),
        ("a20102613103", "payload.not_cbor", "byte 3"),
        ("a1f501", "payload.not_cbor", "byte 1"),
        ("a161", "payload.not_cbor", "byte 1"),
        ("bf6161ff", "payload.not_cbor", "byte 3"),
        ("5f00ff", "payload.not_cbor", "byte 1"),
        ("5f5f4100ffff", "payload.not_cbor", "byte 1"),
        ("5f41", "payload.not_cbor", "byte 2"),
        ("9f", "payload.not_cbor", "byte 1"),
        ("c2f5", "payload.not_cbor", "byte 2"),
        ("c48101", "payload.not_cbor", "byte 3"),
        ("c4821b7fffffffffffffff01", "value.not_finite", "byte 12"),
        ("9bffffffffffffffff", "payload.not_cbor", "byte 9"),
        ("bbffffffffffffffff", "payload.not_cbor", "byte 9"),
        ("5b7fffffffffffffff", "payload.not_cbor", "byte 9"),
        ("9a000fffff00", "payload.not_cbor", "byte 5"),
    ],
)
def test_what_is_no_cbor_is_a_dead_letter_that_names_the_byte(
    hexadecimal: str, code: str, field: str | None
) -> None:
    assert reason(bytes.fromhex(hexadecimal)) == (code, field)


@pytest.mark.parametrize("opening", [b"\x81", b"\x9f", b"\xa1\x61a", b"\xc1", b"\xd9\xd9\xf7"])
def test_nesting_is_bounded(opening: bytes) -> None:
    assert reason(opening * 10_000 + b"\x00")[0] == "payload.too_deep"


def test_a_number_of_a_million_digits_is_refused() -> None:
    assert reason(b"\xc2\x5a\x00\x03\x00\x00" + b"\xff" * 0x30000)[0] == "value.not_finite"
    assert reason(bytes.fromhex("c5821b7fffffffffffffff01"))[0] == "value.not_finite"
    assert value("c5823b7fffffffffffffff01") == {"x": 0.0}


def test_nul_in_a_text_is_refused() -> None:
    assert reason(dump({"a": "x\0"}))[0] == "value.invalid"
    assert reason(dump({"a\0": 1}))[0] == "metric.invalid"


@pytest.mark.parametrize(
    ("payload", "online"),
    [
        (b"online", True),
        (b"0", False),
        (b'{"status":"offline"}', False),
        (b"\xa1\x66status\x67offline", False),
    ],
)
def test_a_status_is_cbor_json_or_the_bare_word(payload: bytes, online: bool) -> None:
    said = decode(payload, "devices/s1/status").presence
    assert isinstance(said, Presence)
    assert said.online is online
