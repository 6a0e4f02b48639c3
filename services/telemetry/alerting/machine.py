"""What a rule says of one target (a device, an integration, an organization): a state machine. Pure.

`quiet` → `pending`, once something is wrong → `open`, once it has been so for `for_s` and the cooldown is over →
`quiet`, once it is well. Two times are told apart: `at` is the device's own, `now` is the log's. A condition has held
for long enough when either says so: by `at`, a device that sends an hour at once is judged as if it had not waited; by
`now`, one that says nothing more is judged as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from contracts.alert_rules import AlertRule
from contracts.alerts import AlertOpened, AlertResolved, Reason, alert_id

Phase = Literal["quiet", "pending", "open"]
_ZERO = timedelta(0)


class Rule(NamedTuple):
    """`revision` is the registry's sequence of its condition and scope, `since` when they were set."""

    organization: str
    id: str
    said: AlertRule
    revision: int
    since: datetime
    for_: timedelta
    cooldown: timedelta


class Key(NamedTuple):
    organization: str
    rule: str
    target: str  # a device, an integration; empty: the organization


class State(NamedTuple):
    """`memory` is what a kind of condition keeps for itself; JSON."""

    revision: int
    phase: Phase = "quiet"
    since: datetime | None = None  # what is wrong began, by the device's time
    noticed: datetime | None = None  # … and by the log's
    first: dict[str, Any] | None = None  # what was seen then
    alert: str | None = None
    of: dict[str, Any] | None = None  # whose alert it is, as its opening said
    over: datetime | None = None  # the end of the last alert
    memory: dict[str, Any] | None = None


class Seen(NamedTuple):
    """`bad` is None between a limit and its hysteresis: what is open stays so, and nothing begins."""

    bad: bool | None
    at: datetime
    now: datetime
    summary: str
    evidence: dict[str, Any]


class Transition(NamedTuple):
    organization: str
    alert: str
    at: datetime
    event: AlertOpened | AlertResolved

    @property
    def id(self) -> str:
        """The same, whoever says it again."""
        return f"{self.alert}-{self.event.type.removeprefix('alert.')}"


Step = tuple[State, Transition | None]


class About(NamedTuple):
    """What an alert is about."""

    device_id: str | None = None
    integration_id: str | None = None
    metric: str | None = None


def see(rule: Rule, key: Key, state: State, seen: Seen, about: About) -> Step:
    """The state after something was seen, and what is to be told."""
    if state.phase == "open":
        return resolve(key, state, seen.now, "recovered", seen) if seen.bad is False else (state, None)
    if not seen.bad:
        return (state, None) if state.phase == "quiet" else (_quiet(state), None)
    if state.phase == "quiet":
        state = state._replace(phase="pending", since=seen.at, noticed=seen.now, first=seen.evidence)
    assert state.since is not None
    assert state.noticed is not None
    held = max(seen.at - state.since, seen.now - state.noticed)
    if held >= rule.for_ and _cooled(rule, state, seen.now):
        return opened(rule, key, state, seen.now, seen.summary, seen.evidence, about)
    return state, None


def due(rule: Rule, state: State) -> datetime | None:
    """When the clock has to look at it; None where nothing can come of itself."""
    if state.phase != "pending" or state.noticed is None:
        return None
    ripe = state.noticed + rule.for_
    return ripe if state.over is None else max(ripe, state.over + rule.cooldown)


def tick(rule: Rule, key: Key, state: State, now: datetime, about: About, summary: str) -> Step:
    """The state at this moment of the log, where nothing came since that said otherwise."""
    ripe = due(rule, state)
    if ripe is None or now < ripe:
        return state, None
    return opened(rule, key, state, now, summary, state.first or {}, about)


def opened(
    rule: Rule,
    key: Key,
    state: State,
    now: datetime,
    summary: str,
    evidence: dict[str, Any],
    about: About,
) -> Step:
    micros = round(now.timestamp() * 1_000_000)
    id = alert_id(key.organization, key.rule, key.target, micros)
    of = {
        "rule_id": rule.id,
        "rule_name": rule.said.name,
        "kind": rule.said.condition.kind,
        "severity": rule.said.severity,
        **about._asdict(),
    }
    if state.first is not None and state.first != evidence:
        evidence = {**evidence, "first": state.first}
    event = AlertOpened(**of, summary=summary, since=state.since or now, evidence=evidence)
    after = state._replace(phase="open", alert=id, of=of)
    return after, Transition(key.organization, id, now, event)


def resolve(key: Key, state: State, now: datetime, reason: Reason, seen: Seen | None = None) -> Step:
    """Over, whatever was seen last."""
    if state.phase != "open" or state.alert is None or state.of is None:
        return _quiet(state), None
    summary = _WORDS[reason] if seen is None else seen.summary
    evidence = {} if seen is None else seen.evidence
    event = AlertResolved(**state.of, summary=summary, reason=reason, evidence=evidence)
    return _quiet(state)._replace(over=now), Transition(key.organization, state.alert, now, event)


def idle(rule: Rule | None, state: State, now: datetime) -> bool:
    """Whether nothing of it need be kept."""
    if state.phase != "quiet" or state.memory:
        return False
    return state.over is None or rule is None or now >= state.over + rule.cooldown


def _cooled(rule: Rule, state: State, now: datetime) -> bool:
    return state.over is None or now - state.over >= rule.cooldown


def _quiet(state: State) -> State:
    return state._replace(phase="quiet", since=None, noticed=None, first=None, alert=None, of=None)


_WORDS: dict[Reason, str] = {
    "recovered": "it is well again",
    "resolved_by_hand": "resolved by hand",
    "rule_changed": "the rule was changed",
    "rule_disabled": "the rule was switched off",
    "rule_deleted": "the rule was deleted",
    "out_of_scope": "the device is none of the rule's any more",
    "device_forgotten": "the device was forgotten",
    "organization_deleted": "the organization was deleted",
}
