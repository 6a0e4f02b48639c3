"""A rule on trial says what the rule would have said; the bounds of what is looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.activity import ActivityRecorded
from contracts.alert_previews import SPAN_MAX, AlertPreview, PreviewAlertRule, PreviewedAlert
from contracts.alert_rules import AlertRule
from contracts.failures import Refused
from services.telemetry.alerting.preview import AlertPreviews
from services.telemetry.alerting.trial import Came, Happened, Past, Reading, Trial
from tests.telemetry.alerting import ORG, Judged, at, message, rules

HOT: dict[str, Any] = {"kind": "threshold", "metric": "t", "operator": ">", "value": 80}
_RULE: TypeAdapter[AlertRule] = TypeAdapter(AlertRule)


def tried(past: Sequence[Past], until: float, *, since: float = 0, **rule: Any) -> list[PreviewedAlert]:
    fields = {name: rule.pop(name) for name in ("scope", "cooldown_s") if name in rule}
    said = _RULE.validate_json(json.dumps({"name": "r", "condition": rule, **fields}))
    trial = Trial(ORG, said, at(since))
    for each in past:
        trial.take(each)
    return trial.end(at(until))


def readings(*values: float, device: str = "d", every: float = 1) -> list[Past]:
    return [Reading(at(n * every), n + 1, device, "t", value, None) for n, value in enumerate(values)]


def spans(alerts: list[PreviewedAlert]) -> list[tuple[datetime, datetime | None]]:
    return [(each.opened_at, each.resolved_at) for each in alerts]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from([70.0, 76.0, 80.0, 81.0, 95.0])), max_size=30),
    st.sampled_from([0, 5, 15]),
    st.sampled_from([0, 30]),
    st.sampled_from([0.0, 5.0]),
)
def test_it_says_what_the_rule_says_as_messages_come(
    came: list[tuple[int, float]], for_s: int, cooldown_s: int, hysteresis: float
) -> None:
    rule = {**HOT, "for_s": for_s, "cooldown_s": cooldown_s, "hysteresis": hysteresis}
    judged, past = Judged(rules({**rule, "since": 0})), []
    moment = 0
    for number, (later, value) in enumerate(came):
        for second in range(moment + 1, moment + later):
            judged.clock(second)
        moment += later
        judged.read(message(number + 1, moment, {"t": value}))
        past.append(Reading(at(moment), number + 1, "d", "t", value, None))
    said = tried(past, moment, **rule)
    told = [(each.at, each.event.type) for each in judged.told]
    expected = [(each.opened_at, "alert.opened") for each in said]
    expected += [(each.resolved_at, "alert.resolved") for each in said if each.resolved_at]
    assert sorted(told) == sorted(expected)


def test_a_duration_ends_at_its_moment_also_where_nothing_more_comes() -> None:
    alerts = tried(readings(81), until=600, **HOT, for_s=60)
    assert spans(alerts) == [(at(60), None)]
    assert alerts[0].since == at(0)


def test_each_device_has_alerts_of_its_own_and_a_scope_leaves_others_out() -> None:
    both = sorted(readings(90, 70) + readings(90, device="e"), key=lambda each: each.at)
    assert {each.device_id for each in tried(both, 10, **HOT)} == {"d", "e"}
    of_one = tried(both, 10, **HOT, scope={"kind": "devices", "device_ids": ["e"]})
    assert [each.device_id for each in of_one] == ["e"]


def test_switches_are_numbers_and_texts_are_not_compared() -> None:
    past: list[Past] = [Reading(at(0), 1, "d", "t", None, "99"), Reading(at(1), 2, "d", "t", None, True)]
    alerts = tried(past, 10, **{**HOT, "operator": ">=", "value": 1})
    assert spans(alerts) == [(at(1), None)]


def test_silence_opens_when_it_has_lasted_and_ends_with_a_message() -> None:
    past: list[Past] = [Came(at(moment), moment, "d", "hosted", None) for moment in (0, 30, 200)]
    alerts = tried(past, 400, kind="no_data", for_s=60)
    assert spans(alerts) == [(at(90), at(200)), (at(260), None)]


def test_a_device_that_a_rule_names_is_silent_from_the_beginning() -> None:
    named = {"kind": "devices", "device_ids": ["never"]}
    assert spans(tried([], 400, kind="no_data", for_s=60, scope=named)) == [(at(60), None)]


def test_dead_letters_are_counted_within_their_window() -> None:
    past: list[Past] = [Came(at(n), n, None, "hosted", "payload.malformed") for n in range(3)]
    assert tried(past, 300, kind="dead_letters", count=4, window_s=60) == []
    [alert] = tried(past, 300, kind="dead_letters", count=3, window_s=60)
    assert alert.opened_at == at(2)
    assert alert.resolved_at is not None


def test_a_link_that_is_down_for_long_enough_and_the_built_in_rule_says_nothing_beside() -> None:
    def link(moment: float, kind: str) -> Past:
        return Happened(at(moment), ActivityRecorded(kind=kind, subject="integration:int_1"))

    past = [link(0, "link.down"), link(20, "link.up"), link(100, "link.down"), link(500, "link.up")]
    alerts = tried(past, 900, kind="link", for_s=60)
    assert spans(alerts) == [(at(160), at(500))]
    assert alerts[0].integration_id == "int_1"


async def asked(past: Sequence[Past], most: int = 1000, **wishes: Any) -> AlertPreview:
    async def look(*args: Any) -> list[Past]:
        *_, first, last, limit = args
        return [each for each in reversed(past) if first <= each.at < last][:limit]

    request = {"organization": ORG, "condition": HOT, "start": at(0), "end": at(100), **wishes}
    return await AlertPreviews(look, most).preview(PreviewAlertRule.model_validate(request))


async def test_where_there_is_more_than_is_judged_it_begins_later_and_says_so() -> None:
    past = readings(*[90, 70] * 10)
    whole = await asked(past)
    assert (whole.complete, whole.judged, whole.opened, whole.start) == (True, 20, 10, at(0))
    part = await asked(past, most=6)
    assert (part.complete, part.judged, part.opened, part.start) == (False, 6, 3, at(14))
    assert [each.opened_at for each in part.items] == [at(18), at(16), at(14)]


async def test_devices_with_alerts_come_first() -> None:
    past = sorted(readings(90, device="z") + readings(1, 1, device="a"), key=lambda each: each.at)
    assert (await asked(past)).devices == ("z", "a")


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"start": at(200)}, "from"),
        ({"start": at(0) - SPAN_MAX}, "from"),
        ({"condition": {"kind": "offline"}}, "condition.kind"),
        ({"condition": {"kind": "link"}, "scope": {"kind": "tag", "tag": "north"}}, "scope"),
    ],
    ids=["reversed", "too-long", "presence", "scope"],
)
async def test_what_cannot_be_looked_at_is_refused(wishes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await asked([], **wishes)
    assert (refused.value.code, refused.value.field) == ("request.invalid", field)


async def test_one_at_a_time_and_the_next_when_it_is_there() -> None:
    request = PreviewAlertRule.model_validate({"organization": ORG, "condition": HOT})

    async def look(*_: Any) -> list[Past]:
        with pytest.raises(Refused) as refused:
            await previews.preview(request)
        assert refused.value.code == "limit.reached"
        return []

    previews = AlertPreviews(look)
    for _ in range(2):
        assert (await previews.preview(request)).opened == 0
