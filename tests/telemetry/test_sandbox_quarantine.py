"""Who rests, why, for how long, and how it comes back."""

import pytest

from services.telemetry.sandbox.quarantine import ENTRIES_MAX, Allowance, Change, Quarantine, Rule

A, B, OTHER = Rule("org_a", "1"), Rule("org_a", "2"), Rule("org_b", "1")


def test_one_strike_is_forgiven_and_the_second_one_is_not() -> None:
    held = Quarantine()
    held.died(A, "loops", 0.1, 0.0)
    assert held.why(A, 1.0) is None
    held.died(A, "loops", 0.1, 2.0)
    assert held.why(A, 3.0) == "loops; it rests for another 59 s"
    assert held.why(B, 3.0) is None
    assert held.why(OTHER, 3.0) is None
    assert held.changes == [Change("org_a", "1", "loops", 60.0)]


def test_strikes_are_forgotten_after_ten_minutes() -> None:
    held = Quarantine()
    held.died(A, "loops", 0.1, 0.0)
    held.died(A, "loops", 0.1, 601.0)
    assert held.why(A, 602.0) is None


def test_a_rule_comes_back_and_one_strike_more_puts_it_to_rest_for_twice_as_long() -> None:
    held = Quarantine()
    for at in (0.0, 1.0):
        held.died(A, "loops", 0.0, at)
    held.changes.clear()
    assert held.why(A, 61.5) is None
    assert held.changes == [Change("org_a", "1", None)]
    now, rests = 62.0, []
    for _ in range(8):
        held.changes.clear()
        held.died(A, "loops", 0.0, now)
        rests.append(held.changes[0].rest_s)
        now += rests[-1] + 1
        assert held.why(A, now) is None
    assert rests == [120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_rule_that_behaved_for_ten_minutes_begins_anew() -> None:
    held = Quarantine()
    for at in (0.0, 1.0):
        held.died(A, "loops", 0.0, at)
    assert held.why(A, 1000.0) is None
    held.died(A, "loops", 0.0, 1001.0)
    assert held.why(A, 1002.0) is None


def test_a_rule_that_stays_within_its_allowance_never_rests() -> None:
    held = Quarantine()
    for second in range(10_000):
        held.ran(A, 10_000, 0, 0.99, float(second))
    assert held.why(A, 10_001.0) is None


def test_large_payloads_may_cost_more() -> None:
    held = Quarantine()
    for second in range(100):
        held.ran(A, 100, 100 * 10_000, 0.4, float(second))
    assert held.why(A, 100.0) is None
    for second in range(100):
        held.ran(B, 100, 100 * 100, 0.4, float(second))
    assert "where 150 are allowed" in (held.why(B, 100.0) or "")


def test_a_rule_that_costs_more_than_its_allowance_rests_once_the_burst_is_used() -> None:
    held = Quarantine(Allowance(message_s=0.0001, burst_s=0.5, share=0.0))
    held.ran(A, 1000, 0, 0.5, 0.0)
    assert held.why(A, 0.1) is None
    held.ran(A, 1000, 0, 0.5, 0.2)
    assert (held.why(A, 0.3) or "").startswith("it takes 500 µs a message, where 100 are allowed")
    held.ran(B, 1000, 0, 0.05, 0.4)
    assert held.why(B, 0.5) is None  # a cheap rule of the same organization goes on


def test_an_organization_whose_rules_killed_workers_beyond_its_allowance_rests_as_a_whole() -> None:
    held = Quarantine()
    for number in range(3):
        held.died(Rule("org_a", f"new {number}"), "loops", 0.15, float(number))
    assert "the organization's expressions used up their CPU time" in (held.why(B, 3.0) or "")
    assert held.why(OTHER, 3.0) is None
    assert held.why(B, 63.0) is None


@pytest.mark.parametrize("bad", [True, False])
def test_what_is_remembered_is_bounded(bad: bool) -> None:
    held = Quarantine()
    for number in range(ENTRIES_MAX + 100):
        rule = Rule(f"org_{number}", "1")
        held.died(rule, "loops", 0.0, 0.0) if bad else held.ran(rule, 1, 0, 0.0, 0.0)
    assert len(held._entries) <= ENTRIES_MAX
    assert len(held._left) <= ENTRIES_MAX
