"""Rules of dead letters, connects and links; what ends a rule; how much one may tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from contracts.alert_rules import LINKS, AlertRuleChanged, AlertRuleDeleted
from contracts.alerts import AlertResolved
from contracts.devices import DeviceForgotten
from contracts.organizations import OrganizationDeleted
from services.telemetry.alerting import board
from services.telemetry.alerting.feed import MessageFeed
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.rules import Rules
from tests.telemetry.alerting import HOT, ORG, SILENT, Heard, Judged, at, feed, message, put, rules


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
