import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.decoders import AMBIGUOUS, FUTURE, UNPARSABLE, Decoded, Message, Reading, Reply, get, reply
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
TOPIC = "$sys/version/1.0/devices/2400000000000001/product/VTS13W01/mac/AABB/dev_protocol/1/properties/up"
ANSWER = Reply(TOPIC + "_reply", b'{"result":0}')
TAG = (
    b'{"device":"2400000000000001","handle":"properties_report","product":"VTS13W01",'
    b'"time":"2026-03-02_00:50:58.000","paras":{"temperature":20.9,"RSSI":-38,"SNR":14,"BatteryIdle":3590,'
    b'"BatteryTx":3010,"Pedestal":"LOST","SmapleTrigger":"TIMER","sampletime":"1772412634","Monitor_ID":"0"}}'
)
vmark = get("vmark")


def decode(payload: Any, topic: str = TOPIC, **settings: Any) -> Decoded:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return vmark.decode(Message(topic, content, NOW), vmark.Settings(**settings))


def report(**more: Any) -> dict[str, Any]:
    return {"device": "d1", "handle": "properties_report", "paras": {"t": 1}} | more


def time_of(text: Any, **settings: Any) -> tuple[datetime, int]:
    (sample,) = decode(report(time=text), **settings).samples
    return sample.time, sample.flags


def test_a_tags_report_is_read_with_the_devices_spelling_and_strings_stay_text() -> None:
    decoded = decode(TAG)
    (sample,) = decoded.samples
    assert sample.device_id == "2400000000000001"
    assert (sample.time, sample.flags) == (datetime(2026, 3, 2, 0, 50, 58, tzinfo=UTC), 0)
    assert sample.readings == [
        Reading("temperature", 20.9),
        Reading("RSSI", -38),
        Reading("SNR", 14),
        Reading("BatteryIdle", 3590),
        Reading("BatteryTx", 3010),
        Reading("Pedestal", "LOST"),
        Reading("SmapleTrigger", "TIMER"),
        Reading("sampletime", "1772412634"),
        Reading("Monitor_ID", "0"),
    ]
    assert decoded.reply == ANSWER


def test_numbers_in_quotes_are_numbers_when_the_integration_says_so() -> None:
    (sample,) = decode(TAG, numeric_strings=True).samples
    assert Reading("sampletime", 1772412634) in sample.readings
    assert Reading("Pedestal", "LOST") in sample.readings


def test_the_device_is_the_payloads_where_the_topic_names_none() -> None:
    (sample,) = decode(report(device="0AB000000001"), "hub/up").samples
    assert sample.device_id == "0AB000000001"


def test_data_stands_in_for_paras_and_an_object_of_neither_was_heard() -> None:
    (sample,) = decode({"handle": "properties_report", "data": {"sim_state": 1}}).samples
    assert sample.readings == [Reading("sim_state", 1)]
    heard = decode({"handle": "heartbeat"})
    assert heard.samples[0].readings == []
    assert heard.reply is None


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"handle": "properties_report", "paras": [1], "data": {"a": 1}}, "paras"),
        ({"temperature": 21.5}, "paras"),
        ([], None),
        (5, None),
    ],
)
def test_what_is_no_vmark_message_is_a_dead_letter_that_says_where(payload: Any, field: str | None) -> None:
    with pytest.raises(Unprocessable) as raised:
        decode(payload)
    assert (raised.value.code, raised.value.field) == ("payload.unsupported", field)


@pytest.mark.parametrize(
    ("zone", "utc"), [("UTC", "00:50:58"), ("Europe/Berlin", "23:50:58"), ("Asia/Kolkata", "19:20:58")]
)
def test_a_time_without_a_zone_is_local_to_the_integrations_zone(zone: str, utc: str) -> None:
    moment, flags = time_of("2026-03-02_00:50:58.250", time_zone=zone)
    assert (f"{moment:%H:%M:%S}", moment.microsecond, moment.tzinfo, flags) == (utc, 250_000, UTC, 0)


def test_an_hour_that_the_clock_shows_twice_or_never_is_flagged() -> None:
    twice = time_of("2025-10-26_02:30:00.000", time_zone="Europe/Berlin")
    assert twice == (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), AMBIGUOUS)
    never = time_of("2025-03-30_02:30:00.000", time_zone="Europe/Berlin")
    assert never == (datetime(2025, 3, 30, 1, 30, tzinfo=UTC), AMBIGUOUS)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("2026-02-30_00:00:00.000", UNPARSABLE),
        ("2026-03-02_25:00:00.000", UNPARSABLE),
        ("0000-00-00_00:00:00", UNPARSABLE),
        ("0001-01-01_00:00:00", UNPARSABLE),
        ("soon", UNPARSABLE),
        ({}, UNPARSABLE),
        ("2027-03-02_00:00:00.000", FUTURE),
    ],
)
def test_a_time_that_is_none_or_lies_ahead_is_replaced_and_flagged(text: Any, flag: int) -> None:
    assert time_of(text, time_zone="Asia/Shanghai") == (NOW, flag)


def test_other_forms_of_time_are_taken_as_everywhere() -> None:
    assert time_of(1772412634)[0] == datetime(2026, 3, 2, 0, 50, 34, tzinfo=UTC)
    assert time_of("2026-03-02T00:00:00+01:00")[0] == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert time_of(None) == (NOW, 0)


def test_replies_and_their_echoes_are_no_telemetry_and_are_not_answered() -> None:
    assert decode(TAG, TOPIC + "_reply") == Decoded()
    assert decode({"result": 0}) == Decoded()
    assert reply("vmark", TOPIC + "_reply", TAG) is None


def test_a_report_is_answered_even_when_its_readings_are_a_dead_letter() -> None:
    payload = json.dumps(report(paras=None)).encode()
    with pytest.raises(Unprocessable):
        decode(payload)
    assert reply("vmark", TOPIC, payload) == ANSWER


@pytest.mark.parametrize("payload", [b"", b"properties_report", b'["properties_report"]', b'{"handle":"x"}'])
def test_only_reports_are_answered(payload: bytes) -> None:
    assert reply("vmark", TOPIC, payload) is None


def test_only_vmark_answers_and_never_beyond_the_longest_topic() -> None:
    assert reply("standard", TOPIC, TAG) is None
    assert reply("nothing", TOPIC, TAG) is None
    assert reply("vmark", "t" * 1020, TAG) is None


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "/etc/localtime", "utc\0"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        vmark.Settings(time_zone=zone)
