"""Rules judged without any server: when an alert opens, when it is over, and that nothing tells it twice."""

from __future__ import annotations

import pytest

from contracts.devices import DeviceDescribed
from tests.telemetry.alerting import HOT, ORG, SILENT, Judged, at, feed, message, put, rules


def test_a_threshold_opens_at_once_and_is_over_with_the_first_value_behind_it() -> None:
    assert feed(Judged(rules(HOT)), 79, 81, 82, 80, 70) == ["opened", "resolved"]


@pytest.mark.parametrize(
    ("operator", "bad", "well"), [(">", 80.1, 80), (">=", 80, 79.9), ("<", 79.9, 80), ("<=", 80, 80.1)]
)
def test_each_operator_at_its_limit(operator: str, bad: float, well: float) -> None:
    judged = Judged(rules({**HOT, "operator": operator}))
    assert feed(judged, well) == []
    assert feed(judged, bad, start=10) == ["opened"]
    assert feed(judged, well, start=20) == ["resolved"]


def test_within_the_hysteresis_nothing_begins_and_nothing_ends() -> None:
    judged = Judged(rules({**HOT, "hysteresis": 5}))
    assert feed(judged, 78) == []
    assert feed(judged, 81, 78, 76, 81, start=10) == ["opened"]
    assert feed(judged, 75, start=20) == ["resolved"]


def test_a_duration_is_waited_for_and_a_single_good_value_ends_the_waiting() -> None:
    judged = Judged(rules({**HOT, "for_s": 10}))
    assert feed(judged, 81, 82, 70, 81, 82) == []
    assert feed(judged, 83, 84, start=12) == ["opened"]  # since 3


def test_a_duration_ends_by_the_clock_where_nothing_more_comes() -> None:
    judged = Judged(rules({**HOT, "for_s": 10}))
    feed(judged, 81)
    assert judged.clock(9.9) == []
    assert judged.clock(10) == ["opened"]
    assert judged.opened()[0].since == at(0)
    assert judged.clock(100) == []


def test_an_hour_that_a_device_sends_at_once_is_judged_by_its_own_times() -> None:
    judged = Judged(rules({**HOT, "for_s": 60}))
    told = []
    for number, value in enumerate([81, 82, 83, 84]):
        told += judged.read(message(number + 1, 3600, {"t": value}, time=number * 30))
    assert told == ["opened"]


def test_late_values_change_nothing_and_a_value_that_comes_again_neither() -> None:
    judged = Judged(rules(HOT))
    assert judged.read(message(1, 100, {"t": 70}, time=100)) == []
    assert judged.read(message(2, 101, {"t": 99}, time=50)) == []
    assert judged.read(message(3, 102, {"t": 99}, time=100)) == []
    assert judged.read(message(4, 103, {"t": 99}, time=103)) == ["opened"]
    assert judged.read(message(5, 104, {"t": 1}, time=102)) == []


def test_a_clock_that_is_ahead_does_not_make_what_follows_late() -> None:
    judged = Judged(rules(HOT))
    assert judged.read(message(1, 0, {"t": 70}, time=80_000)) == []
    assert judged.read(message(2, 1, {"t": 99}, time=1)) == ["opened"]


def test_booleans_are_numbers_and_texts_are_not_compared() -> None:
    judged = Judged(rules({**HOT, "operator": ">=", "value": 1}))
    assert judged.read(message(1, 0, {"t": "5"})) == []
    assert judged.read(message(2, 1, {"t": True})) == ["opened"]
    assert judged.read(message(3, 2, {"t": False})) == ["resolved"]


def test_after_a_cooldown_what_is_still_wrong_opens_again_and_not_before() -> None:
    judged = Judged(rules({**HOT, "cooldown_s": 60}))
    assert feed(judged, 81, 70, 81, 70, 81) == ["opened", "resolved"]
    assert judged.clock(60) == []
    assert judged.clock(61) == ["opened"]  # over at 1
    assert len({each.alert for each in judged.told}) == 2


def test_each_device_of_the_scope_has_an_alert_of_its_own() -> None:
    judged = Judged(rules({**HOT, "scope": {"kind": "devices", "device_ids": ["a", "b"]}}))
    for number, device in enumerate("abc"):
        judged.read(message(number + 1, number, {"t": 99}, device=device))
    assert [event.device_id for event in judged.opened()] == ["a", "b"]


def test_a_device_comes_and_goes_with_its_tag() -> None:
    held = rules({**HOT, "scope": {"kind": "tag", "tag": "north"}})
    judged = Judged(held)
    assert feed(judged, 99) == []
    held.apply(ORG, "x", DeviceDescribed(device_id="d", tags=("north",)), 9, at(1))
    assert feed(judged, 99, start=2) == ["opened"]
    held.apply(ORG, "x", DeviceDescribed(device_id="d", tags=("south",)), 10, at(3))
    assert judged.clock(4) == ["resolved"]
    assert judged.told[-1].event.reason == "out_of_scope"  # type: ignore[union-attr]
    assert feed(judged, 99, start=5) == []


def test_a_rate_of_change_is_from_one_value_to_the_next() -> None:
    rate = {"kind": "rate_of_change", "metric": "t", "change": 10, "per_s": 60}
    judged = Judged(rules(rate, {**rate, "direction": "falling"}))
    assert feed(judged, 20, 21, 22, every=60) == []
    assert feed(judged, 33, start=180) == ["opened"]
    assert judged.opened()[0].evidence["change"] == 11
    assert feed(judged, 20, start=240) == ["opened"]  # the falling one; the other goes on
    assert sorted(feed(judged, 20, start=300)) == ["resolved", "resolved"]


def test_two_values_a_millisecond_apart_are_no_storm() -> None:
    judged = Judged(rules({"kind": "rate_of_change", "metric": "t", "change": 100, "per_s": 60}))
    assert feed(judged, 20.0, 20.5, every=0.001) == []


def test_silence_opens_by_the_clock_and_ends_with_the_next_message() -> None:
    judged = Judged(rules(SILENT))
    judged.read(message(1, 0, None))
    assert judged.clock(59) == []
    judged.read(message(2, 59, None))
    assert judged.clock(118) == []
    assert judged.clock(119) == ["opened"]
    assert judged.opened()[0].since == at(59)
    assert judged.clock(500) == []
    assert judged.read(message(3, 600, {"t": 1})) == ["resolved"]
    assert judged.clock(660) == ["opened"]


def test_silence_of_a_metric_is_not_broken_by_others() -> None:
    judged = Judged(rules({**SILENT, "metric": "t"}))
    judged.read(message(1, 0, {"t": 1}))
    judged.read(message(2, 30, {"u": 1}))
    assert judged.clock(60) == ["opened"]
    assert judged.read(message(3, 61, {"u": 1})) == []
    assert judged.read(message(4, 62, {"t": 1})) == ["resolved"]


def test_devices_that_were_silent_before_the_rule_are_left_alone_unless_they_are_named() -> None:
    held = rules()
    judged = Judged(held)
    judged.heard[ORG, "old"] = at(-1000)
    judged.heard[ORG, "lately"] = at(-20)
    put(held, "r0", since=0, **SILENT)
    named = {"kind": "devices", "device_ids": ["old", "never"]}
    put(held, "r1", since=0, sequence=2, scope=named, **SILENT)
    assert judged.clock(39) == []
    assert judged.clock(40) == ["opened"]
    assert judged.clock(60) == ["opened", "opened"]
    assert sorted(str(event.device_id) for event in judged.opened()) == ["lately", "never", "old"]
