"""What a value says to a threshold, or to a rate of change. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.alert_rules import RateOfChange, Threshold
from services.telemetry.alerting.machine import Key, Rule, Seen, State
from services.telemetry.decoding import SampleRow

_BREAKS = {
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
}
_FINITE = sys.float_info.max  # JSON has no infinity


def number(row: SampleRow, at: int) -> float | None:
    """Booleans are numbers; texts are none."""
    found = row.numbers[at]
    if found is not None or row.others is None:
        return found
    other: Any = row.others.get(at)
    return float(other) if isinstance(other, bool) else None


def breaks(rule: Rule, value: float) -> bool | None:
    """Whether a value breaks a threshold; None within its hysteresis."""
    condition = rule.said.condition
    assert isinstance(condition, Threshold)
    if _BREAKS[condition.operator](value, condition.value):
        return True
    if not condition.hysteresis:
        return False
    above = condition.operator.startswith(">")
    back = condition.value - condition.hysteresis if above else condition.value + condition.hysteresis
    return None if (value > back if above else value < back) else False


def changes(rule: Rule, per_s: float) -> bool:
    """Whether so much in a second is more than a rule allows."""
    condition = rule.said.condition
    assert isinstance(condition, RateOfChange)
    change = per_s * condition.per_s
    size = {"rising": change, "falling": -change, "either": abs(change)}[condition.direction]
    return size >= condition.change


def threshold(
    rule: Rule,
    row: SampleRow,
    name: str,
    value: float,
    bad: bool | None,
    time: datetime,
    received: datetime,
) -> Seen:
    condition = rule.said.condition
    assert isinstance(condition, Threshold)
    summary = f"{name} of {row.device} is {said(value)}"
    if bad:
        summary += _broken(condition)
    evidence = {
        "value": value,
        "timestamp": time.isoformat(),
        "sequence": row.sequence,
        "limit": condition.value,
    }
    return Seen(bad, time, received, summary, evidence)


def rate(
    rule: Rule,
    row: SampleRow,
    name: str,
    value: float,
    bad: bool,
    per_s: float,
    before: tuple[datetime, float | None],
    time: datetime,
    received: datetime,
) -> Seen:
    """`per_s` is how much it changed in a second since the value before it."""
    condition = rule.said.condition
    assert isinstance(condition, RateOfChange)
    change = max(-_FINITE, min(per_s * condition.per_s, _FINITE))
    evidence = {
        "value": value,
        "timestamp": time.isoformat(),
        "sequence": row.sequence,
        "value_before": before[1],
        "timestamp_before": before[0].isoformat(),
        "change": change,
        "limit": condition.change,
    }
    summary = f"{name} of {row.device} {_went(evidence, condition)}"
    return Seen(bad, time, received, summary, evidence)


def words(rule: Rule, key: Key, state: State) -> str:
    """Of an alert that the clock opens: what was seen when it began."""
    condition, seen = rule.said.condition, state.first or {}
    if isinstance(condition, Threshold):
        return f"{condition.metric} of {key.target} is {said(seen.get('value'))}{_broken(condition)}"
    assert isinstance(condition, RateOfChange)
    return f"{condition.metric} of {key.target} {_went(seen, condition)}, for {condition.for_s} s"


def _went(evidence: Mapping[str, Any], condition: RateOfChange) -> str:
    """The rate is of these two values, however near they are to each other."""
    before, now, change = (said(evidence.get(name)) for name in ("value_before", "value", "change"))
    return f"went from {before} to {now}, a rate of {change} in {condition.per_s} s"


def said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _broken(condition: Threshold) -> str:
    lasting = f" for {condition.for_s} s" if condition.for_s else ""
    return f": {condition.operator} {said(condition.value)}{lasting}"
