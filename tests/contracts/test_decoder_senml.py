import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.decoders import FUTURE, UNPARSABLE, Decoded, Message, Reading, Sample, get
from contracts.failures import Unprocessable
from tests.contracts.cbor_dump import dump

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
LABELS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
senml = get("senml")


def decode(pack: Any, topic: str = "devices/s1/telemetry", **settings: Any) -> Decoded:
    payload = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return senml.decode(Message(topic, payload, NOW), senml.Settings(**settings))


def readings(pack: Any, **settings: Any) -> list[Reading]:
    return [reading for sample in decode(pack, **settings).samples for reading in sample.readings]


def reason(pack: Any, topic: str = "devices/s1/telemetry", **settings: Any) -> tuple[str, str | None]:
    with pytest.raises(Unprocessable) as raised:
        decode(pack, topic, **settings)
    return raised.value.code, raised.value.field


def test_base_fields_hold_for_all_records_behind_them_until_replaced() -> None:
    pack = [
        {"bn": "urn:dev:ow:10e2:", "bt": 1772359200, "bu": "A", "bv": 10, "n": "i", "v": 1.5},
        {"n": "j", "v": -2, "t": -5},
        {"bu": "V", "bv": 0, "n": "u", "v": 230},
        {"n": "f", "u": "Hz", "v": 50},
    ]
    assert decode(pack).samples == [
        Sample("s1", TEN, 0, [Reading("i", 11.5, "A"), Reading("u", 230, "V"), Reading("f", 50, "Hz")]),
        Sample("s1", TEN - timedelta(seconds=5), 0, [Reading("j", 8, "A")]),
    ]


def test_times_below_two_to_the_28_count_from_now() -> None:
    pack = [{"n": "a", "v": 1}, {"n": "b", "v": 2, "t": -10.5}, {"n": "c", "v": 3, "t": 60}]
    assert [sample.time for sample in decode(pack).samples] == [
        NOW,
        NOW - timedelta(seconds=10.5),
        NOW + timedelta(seconds=60),
    ]


@pytest.mark.parametrize(("t", "flag"), [(4e9, FUTURE), (1e300, UNPARSABLE), (-1e300, UNPARSABLE)])
def test_a_time_that_cannot_be_is_replaced_and_flagged(t: float, flag: int) -> None:
    assert decode([{"n": "a", "v": 1, "t": t}]).samples == [Sample("s1", NOW, flag, [Reading("a", 1)])]


def test_values_are_numbers_texts_booleans_and_data() -> None:
    pack = [{"n": "v", "v": 1}, {"n": "s", "vs": "on"}, {"n": "b", "vb": False}, {"n": "d", "vd": "-_8"}]
    assert readings(pack) == [Reading("v", 1), Reading("s", "on"), Reading("b", False), Reading("d", "-_8")]


def test_a_sum_is_a_reading_of_its_own_with_its_base() -> None:
    pack = [{"bs": 100, "bu": "W", "n": "p", "v": 5, "s": 20}, {"n": "q", "s": 1}]
    assert readings(pack) == [
        Reading("p", 5, "W"),
        Reading("p.sum", 120, "W*s"),
        Reading("q.sum", 101, "W*s"),
    ]


def test_a_base_value_alone_is_the_value_and_base_fields_alone_are_none() -> None:
    assert readings([{"bn": "x:", "bt": 1772359200}, {"n": "a", "bv": 3}]) == [Reading("a", 3)]


def test_the_same_pack_in_cbor_gives_the_same() -> None:
    pack: list[dict[str, Any]] = [
        {"bn": "urn:dev:ow:10e2:", "bt": 1772359200, "bu": "Cel", "n": "t", "v": 21.5},
        {"n": "door", "vb": True, "t": -10},
        {"n": "state", "vs": "on", "s": 3},
    ]
    labelled = dump([{LABELS[key]: value for key, value in record.items()} for record in pack])
    assert decode(labelled) == decode(pack)
    assert decode(labelled, format="cbor") == decode(pack, format="json")
    data = dump([{0: "d", 8: b"\xfb\xff"}])
    assert readings(data) == [Reading("d", "-_8")]


@pytest.mark.parametrize(
    ("record", "short", "full"),
    [
        ({"bn": "urn:dev:ow:10e2:", "n": "t", "v": 1}, "t", "urn:dev:ow:10e2:t"),
        ({"bn": "urn:dev:ow:10e2:temperature", "v": 1}, "temperature", "urn:dev:ow:10e2:temperature"),
        ({"bn": "room1/temp", "v": 1}, "temp", "room1/temp"),
        ({"n": "t", "v": 1}, "t", "t"),
    ],
)
def test_names_are_short_or_full(record: dict[str, Any], short: str, full: str) -> None:
    assert [reading.metric for reading in readings([record])] == [short]
    assert [reading.metric for reading in readings([record], full_names=True)] == [full]


def test_the_device_is_the_base_name_where_the_topic_names_none() -> None:
    pack = [{"bn": "urn:dev:ow:1:", "n": "t", "v": 1}, {"bn": "urn:dev:ow:2:", "n": "t", "v": 2}]
    assert [sample.device_id for sample in decode(pack, "plant/up").samples] == [
        "urn:dev:ow:1",
        "urn:dev:ow:2",
    ]
    assert reason([{"n": "t", "v": 1}], "plant/up") == ("device.unknown", None)


@pytest.mark.parametrize(
    ("pack", "code", "field"),
    [
        ({"n": "a", "v": 1}, "payload.not_senml", None),
        ([], "payload.not_senml", None),
        ([1], "payload.not_senml", "0"),
        ([{"n": "a", "v": 1}, {"n": "b", "v": 1, "vs": "x"}], "payload.not_senml", "1"),
        ([{"n": "a"}], "payload.not_senml", "0"),
        ([{"n": "a", "v": "1"}], "payload.not_senml", "0.v"),
        ([{"n": "a", "v": True}], "payload.not_senml", "0.v"),
        ([{"n": "a", "vb": 1}], "payload.not_senml", "0.vb"),
        ([{"n": 5, "v": 1}], "payload.not_senml", "0.n"),
        ([{"n": "a", "v": 1, "t": "now"}], "payload.not_senml", "0.t"),
        ([{"n": "a", "v": 1, "bt": 10**30}], "payload.not_senml", "0.bt"),
        ([{"bver": 11, "n": "a", "v": 1}], "payload.not_senml", "0.bver"),
        ([{"n": "a", "v": 1, "lens_": 2}], "payload.not_senml", "0.lens_"),
        ([{"v": 1}], "metric.invalid", ""),
        ([{"n": "a", "v": 1}, {"n": "a", "v": 2}], "metric.ambiguous", "a"),
        ([{"n": "a", "v": 1, "u": "x" * 33}], "value.too_large", "0.u"),
        ([{"n": "a", "v": 1e308, "bv": 1e308}], "value.not_finite", None),
        ([{"n": "a", "v": 10**400, "bv": 0.5}], "value.not_finite", None),
        ([{"n": "a", "vs": "\0"}], "value.invalid", "a"),
        ([{"n": "a", "v": 1}] * 2049, "payload.too_many", None),
        (b"", "payload.empty", None),
        (b"\x81", "payload.not_cbor", "byte 1"),
        (b"[1", "payload.not_json", None),
    ],
)
def test_what_is_no_pack_is_a_dead_letter_that_says_where(pack: Any, code: str, field: str | None) -> None:
    assert reason(pack) == (code, field)


def test_unknown_fields_that_need_not_be_understood_are_left_out() -> None:
    assert readings([{"n": "a", "v": 1, "ut": 60, "x-colour": "red"}]) == [Reading("a", 1)]
