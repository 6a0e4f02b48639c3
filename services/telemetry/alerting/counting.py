"""How many within a window: counted in a sixtieth of it at a time. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.alert_rules import DeadLetterRate, RefusedConnects
from services.telemetry.alerting import machine
from services.telemetry.alerting.machine import About, Key, Rule, Seen, State, Step

PARTS = 60
_WORDS = {"dead_letters": "dead letters", "refused_connects": "connects were refused"}


def count(rule: Rule, key: Key, state: State, number: int, at: datetime, now: datetime) -> Step:
    """The state after so many more. What lies before the window is no news."""
    width = _width(rule)
    held = dict(_held(state))
    if number:
        slot = str(int(at.timestamp() // width))
        held[slot] = held.get(slot, 0) + number
    first = (now.timestamp() - _window(rule)) // width
    held = {slot: counted for slot, counted in held.items() if int(slot) > first}
    total = sum(held.values())
    state = state._replace(memory={"counts": held} if held else None)
    condition = rule.said.condition
    evidence = {"count": total, "window_s": _window(rule), "limit": _limit(rule)}
    words = f"{total} {_WORDS[condition.kind]} within {_window(rule)} s"
    began = min((int(slot) for slot in held), default=None)
    since = now if began is None else datetime.fromtimestamp(began * width, UTC)
    return machine.see(
        rule, key, state, Seen(total >= _limit(rule), min(since, now), now, words, evidence), about(rule)
    )


def due(rule: Rule, state: State) -> datetime | None:
    """When the oldest of it leaves the window, or a cooldown ends."""
    held = _held(state)
    ends = machine.due(rule, state)
    if not held:
        return ends
    leaves = datetime.fromtimestamp((min(map(int, held)) + 1) * _width(rule), UTC)
    leaves += timedelta(seconds=_window(rule))
    return leaves if ends is None else min(leaves, ends)


def about(rule: Rule) -> About:
    return About(integration_id=getattr(rule.said.condition, "integration_id", None))


def _held(state: State) -> dict[str, Any]:
    held: dict[str, Any] = (state.memory or {}).get("counts", {})
    return held


def _condition(rule: Rule) -> RefusedConnects | DeadLetterRate:
    condition = rule.said.condition
    assert isinstance(condition, RefusedConnects | DeadLetterRate)
    return condition


def _limit(rule: Rule) -> int:
    return _condition(rule).count


def _window(rule: Rule) -> int:
    return _condition(rule).window_s


def _width(rule: Rule) -> int:
    return max(1, _window(rule) // PARTS)
