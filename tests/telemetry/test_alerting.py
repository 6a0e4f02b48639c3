"""Rules judged without any server: when an alert opens, when it is over, and that nothing tells it twice."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alert_rules import LINKS, AlertRuleChanged, AlertRuleDeleted
from contracts.alerts import AlertResolved
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.organizations import OrganizationDeleted
from services.telemetry.alerting import board
from services.telemetry.alerting.feed import MessageFeed
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.rules import Rules
from tests.telemetry.alerting import ORG, Heard, Judged, at, message, put, rules

HOT: dict[str, Any] = {"kind": "threshold", "metric": "t", "operator": ">", "value": 80}


def feed(judged: Judged, *values: float, every: float = 1, start: float = 0) -> list[str]:
    """What a run of values comes to, one a second."""
    told = []
    for number, value in enumerate(values):
        moment = start + number * every
        told += judged.read(message(int(moment * 10) + 1, moment, {"t": value}))
    return told


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


SILENT: dict[str, Any] = {"kind": "no_data", "for_s": 60}


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


def test_dead_letters_within_a_window_are_counted_and_leave_it() -> None:
    judged = Judged(rules({"kind": "dead_letters", "count": 3, "window_s": 60}))
    told = []
    for number in range(3):
        told += judged.read(message(number + 1, number * 10, None, failure="payload.not_json"))
    assert told == ["opened"]
    assert judged.clock(59) == []
    assert judged.clock(62) == ["resolved"]
    judged.clock(200)
    assert not judged.states


def test_refused_connects_are_counted_with_those_that_were_left_out() -> None:
    heard = Heard(rules({"kind": "refused_connects", "count": 10, "window_s": 60}))
    assert heard.read("device.refused", 0) == []
    assert heard.read("device.refused", 1, details={"left_out": 8}) == []
    assert heard.read("device.refused", 2) == ["opened"]
    assert heard.clock(100) == ["resolved"]


LINK: dict[str, Any] = {"subject": "integration:int_1"}


def test_links_are_watched_in_every_organization_unless_it_says_otherwise() -> None:
    heard = Heard(Rules())
    assert heard.read("link.down", 0, summary="no route", reason="broker.unreachable", **LINK) == []
    assert heard.clock(29) == []
    assert heard.clock(30) == ["opened"]
    (event,) = heard.opened()
    assert (event.rule_id, event.integration_id) == (LINKS, "int_1")
    assert "no route" in event.summary
    assert heard.read("link.up", 40, **LINK) == ["resolved"]


def test_a_link_that_comes_back_in_time_is_no_alert() -> None:
    heard = Heard(Rules())
    heard.read("link.down", 0, **LINK)
    heard.read("link.up", 20, **LINK)
    assert heard.clock(100) == []


def test_the_built_in_rule_is_switched_off_with_its_open_alerts() -> None:
    held = Rules()
    heard = Heard(held)
    heard.read("link.refused", 0, **LINK)
    assert heard.clock(31) == ["opened"]
    rule = held.get(ORG, LINKS)
    assert rule is not None
    off = AlertRuleChanged(rule=rule.said.model_copy(update={"enabled": False}))
    held.apply(ORG, LINKS, off, 5, at(32))
    assert heard.clock(33) == ["resolved"]
    assert heard.told[-1].event.reason == "rule_disabled"  # type: ignore[union-attr]
    assert heard.read("link.down", 40, **LINK) + heard.clock(100) == []
    assert heard.read("link.down", 40, organization="org_b", **LINK) == []
    assert heard.clock(131) == ["opened"]


def test_degraded_is_told_where_a_rule_asks_and_lasts_until_the_last_trouble_is_over() -> None:
    heard = Heard(rules({"kind": "link", "states": ["degraded"], "for_s": 0}))
    assert heard.read("link.silent", 0, reason="link.silent", **LINK) == ["opened"]
    assert heard.read("link.degraded", 1, reason="broker.dropping", **LINK) == []
    assert heard.read("link.flowing", 2, reason="link.silent", **LINK) == []
    heard.restart()
    assert heard.read("link.recovered", 3, reason="broker.dropping", **LINK) == ["resolved"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (AlertRuleDeleted(), "rule_deleted"),
        (OrganizationDeleted(), "organization_deleted"),
        (DeviceForgotten(device_id="d", erasure="e"), "device_forgotten"),
    ],
)
def test_what_ends_a_rule_ends_its_alerts_with_the_reason(event: Any, reason: str) -> None:
    held = rules(HOT)
    judged = Judged(held)
    feed(judged, 99)
    held.apply(ORG, "r0", event, 9, at(5))
    assert judged.clock(6) == ["resolved"]
    resolved = judged.told[-1].event
    assert isinstance(resolved, AlertResolved)
    assert resolved.reason == reason
    assert not judged.states


def test_with_another_condition_a_rule_begins_anew_and_with_another_name_it_goes_on() -> None:
    held = rules(HOT)
    judged = Judged(held)
    feed(judged, 99)
    put(held, "r0", sequence=7, severity="critical", **HOT)
    assert judged.clock(1) == []
    put(held, "r0", sequence=8, **{**HOT, "value": 90})
    assert judged.clock(2) == ["resolved"]
    assert feed(judged, 99, start=3) == ["opened"]


def test_another_organizations_devices_are_nobodys_business() -> None:
    judged = Judged(rules(HOT, SILENT))
    assert judged.read(message(1, 0, {"t": 99}, organization="org_b")) == []
    assert judged.clock(1000) == []


@pytest.mark.parametrize(("condition", "base"), [(HOT, 50), (SILENT, 61)])
def test_so_many_alerts_a_minute_and_the_rest_waits_where_it_is_still_so(
    monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any], base: float
) -> None:
    monkeypatch.setattr(board, "OPENINGS_MAX", 2)
    judged = Judged(rules(condition))
    for number, device in enumerate("abcd"):
        judged.read(message(number + 1, number / 10, {"t": 99}, device=device))
    judged.clock(base)
    assert [event.device_id for event in judged.opened()] == ["a", "b"]
    judged.restart()
    judged.read(message(9, base + 1, {"t": 1}, device="d"))  # well before its turn
    for wait in (2, 60):
        judged.clock(base + wait)
    assert [event.device_id for event in judged.opened()] == ["a", "b", "c"]
    assert judged.kinds() == ["opened"] * 3


def test_a_change_beyond_all_numbers_is_told_as_the_largest() -> None:
    judged = Judged(rules({"kind": "rate_of_change", "metric": "t", "change": 1}))
    assert feed(judged, -1.7e308, 1.7e308) == ["opened"]
    assert json.dumps(judged.opened()[0].evidence, allow_nan=False)


def test_a_defect_of_judging_costs_alerts_and_no_readings() -> None:
    feed_of: Any = MessageFeed(Any, Any, MessageBoard(Rules()), asyncio.Event(), lambda: None)  # type: ignore[arg-type]

    def defect() -> None:
        raise ZeroDivisionError

    assert feed_of._without_harm(at(0), lambda: None)
    assert not feed_of._without_harm(at(1), defect)
    assert feed_of._token is None  # what is in memory is read anew


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 20),  # seconds since the one before
        st.integers(-60, 5),  # its own time beside that
        st.sampled_from([60, 76, 79, 81, 99]),
        st.sampled_from([None, None, "bad"]),
    ),
    max_size=25,
)
MANY = (
    {**HOT, "hysteresis": 4},
    {**HOT, "for_s": 20, "cooldown_s": 30},
    {**HOT, "operator": "<", "value": 77, "for_s": 5, "scope": {"kind": "devices", "device_ids": ["a"]}},
    {"kind": "rate_of_change", "metric": "t", "change": 30, "per_s": 10, "for_s": 10},
    {**SILENT, "for_s": 25},
    {**SILENT, "for_s": 40, "metric": "t", "cooldown_s": 50},
    {"kind": "dead_letters", "count": 3, "window_s": 60},
)


def _run(messages: Any, restarts: set[int]) -> Judged:
    judged = Judged(rules(*MANY))
    moment = 0.0
    for number, (device, wait, offset, value, failure) in enumerate(messages):
        for _ in range(wait):
            moment += 1
            judged.clock(moment)
        if number in restarts:
            judged.restart()
        values = None if failure else {"t": value}
        judged.read(message(number + 1, moment, values, device=device, time=moment + offset, failure=failure))
        if number in restarts:
            judged.restart()
    return judged


@settings(max_examples=40, deadline=None)
@given(MESSAGES, st.sets(st.integers(0, 24)))
def test_a_restart_at_any_point_tells_the_same(messages: Any, restarts: set[int]) -> None:
    told = _run(messages, set()).told
    assert sorted(_run(messages, restarts).told, key=str) == sorted(told, key=str)


@settings(max_examples=40, deadline=None)
@given(MESSAGES)
def test_of_each_target_an_alert_opens_and_ends_in_turn(messages: Any) -> None:
    judged = _run(messages, set())
    by_target: dict[Any, list[str]] = {}
    for each in judged.told:
        by_target.setdefault((each.event.rule_id, each.event.device_id), []).append(each.event.type)
    for kinds in by_target.values():
        assert kinds[0] == "alert.opened"
        assert all(one != other for one, other in pairwise(kinds))
    ids = [each.id for each in judged.told]
    assert len(ids) == len(set(ids))


@settings(max_examples=40, deadline=None)
@given(MESSAGES, st.integers(0, 24))
def test_what_comes_late_or_again_tells_nothing(messages: Any, again: int) -> None:
    judged = _run(messages, set())
    if not messages:
        return
    before = [
        (each.event.rule_id, each.event.device_id) for each in judged.told if each.event.kind == "threshold"
    ]
    known = {device for (_, device), marks in judged.marks.items() if "t" in marks}
    moment = sum(wait for _, wait, *_ in messages)
    device, *_ = messages[again % len(messages)]
    judged.read(message(1000, moment, {"t": 99}, device=device, time=-500))
    judged.read(message(1001, moment, {"t": 1}, device=device, time=-501))
    after = [
        (each.event.rule_id, each.event.device_id) for each in judged.told if each.event.kind == "threshold"
    ]
    assert device not in known or after == before
