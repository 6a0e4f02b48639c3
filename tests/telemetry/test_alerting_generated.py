"""Whatever comes, in whatever order, through whatever restarts: alerts of a rule open and end in turn, once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.alerting import HOT, SILENT, Judged, message, rules

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
