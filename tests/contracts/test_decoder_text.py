from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.decoders import Decoded, Message, Presence, Reading, Sample, get
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
text, raw = get("text"), get("raw")


def decode(payload: bytes, topic: str = "devices/s1/state", **settings: Any) -> Decoded:
    return text.decode(Message(topic, payload, NOW), text.Settings(**settings))


def reason(payload: bytes, topic: str = "devices/s1/state", **settings: Any) -> tuple[str, str | None]:
    with pytest.raises(Unprocessable) as raised:
        decode(payload, topic, **settings)
    return raised.value.code, raised.value.field


def test_the_payload_is_one_reading_named_by_the_topic() -> None:
    assert decode(b" VALVE OPEN\r\n").samples == [Sample("s1", NOW, 0, [Reading("state", "VALVE OPEN")])]
    assert decode(b'{"a":1}').samples[0].readings == [Reading("state", '{"a":1}')]
    assert decode("grün".encode()).samples[0].readings == [Reading("state", "grün")]


@pytest.mark.parametrize(
    ("settings", "payload", "expected"),
    [
        ({"metric": "firmware"}, b"1.2", Reading("firmware", "1.2")),
        ({"strip": False}, b" x ", Reading("state", " x ")),
        ({"numeric_strings": True}, b"21.5\n", Reading("state", 21.5)),
        ({"encoding": "latin-1"}, b"gr\xfcn", Reading("state", "grün")),
    ],
)
def test_each_setting_is_honoured(settings: dict[str, Any], payload: bytes, expected: Reading) -> None:
    assert decode(payload, **settings).samples[0].readings == [expected]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", ("payload.empty", None)),
        (b" \n", ("payload.empty", None)),
        (b"ok\xff", ("payload.not_text", "byte 2")),
        (b"\xed\xa0\x80", ("payload.not_text", "byte 0")),
        (b"x" * 1025, ("value.too_large", "state")),
        (b"a\0b", ("value.invalid", "state")),
    ],
)
def test_what_is_no_short_text_is_a_dead_letter(payload: bytes, expected: tuple[str, str | None]) -> None:
    assert reason(payload) == expected


def test_a_status_is_presence_and_not_a_reading() -> None:
    assert decode(b"offline", "devices/s1/status") == Decoded(
        presence=Presence("s1", False, "status", NOW, 0, "offline")
    )


def test_a_metric_name_that_cannot_be_stored_is_refused_when_it_is_set() -> None:
    for name in ("", "a\0", "x" * 257):
        with pytest.raises(ValidationError):
            text.Settings(metric=name)


def test_raw_reads_nothing() -> None:
    assert raw.decode(Message("devices/s1/telemetry", b'{"a":1}', NOW), raw.Settings()) == Decoded()
