"""States of rules in memory, the timers that some of them wait for, and what changed since it was last stored. Pure.

What is in memory holds for one moment of one log: `feed` sees to that, and throws it away where it may not.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from contracts.alert_rules import OF_DEVICES, OPENINGS_MAX
from contracts.alerts import Reason
from runtime.observe import log
from services.telemetry.alerting import machine
from services.telemetry.alerting.machine import About, Key, Rule, Seen, State, Step, Transition
from services.telemetry.alerting.rules import Rules

_log = log(part="alerts")
TIMERS_A_TICK = 20_000  # the rest comes a moment later: others have their turn

MINUTE = timedelta(minutes=1)
TIMER = "~"  # begins what stands in a rule's place, for a timer of many

Marks = dict[str, tuple[datetime, float | None, datetime]]
"""By metric: the newest value, its time, and when it was received."""
Device = tuple[str, str]


class Changes(NamedTuple):
    """What is to be stored: None for a state that is to be forgotten."""

    states: dict[Key, State | None]
    marks: dict[Device, Marks]
    transitions: list[Transition]

    def __bool__(self) -> bool:
        return bool(self.states or self.marks or self.transitions)


class Board:
    """What the kinds of conditions have in common; each feed has a board of its own."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.now = datetime.min.replace(tzinfo=UTC)
        self._version = -1  # of the rules that the states were last held against
        self._states: dict[Key, State] = {}
        self._of_target: defaultdict[Device, set[Key]] = defaultdict(set)
        self._timers: list[tuple[datetime, Key]] = []
        self._waiting: dict[Key, datetime] = {}
        self._changed: set[Key] = set()
        self._marked: set[Device] = set()
        self._transitions: list[Transition] = []
        self._openings: dict[str, tuple[int, int]] = {}  # minute and number

    # what is stored
    def load(self, states: Iterable[tuple[Key, State]]) -> None:
        """In the place of all that was known."""
        self._states.clear()
        self._of_target.clear()
        self._timers.clear()
        self._waiting.clear()
        self._version = -1
        self.changes()
        for key, state in states:
            self._states[key] = state
            self._of_target[key.organization, key.target].add(key)
            rule = self.rule(key, state)
            if rule is not None:
                self.wait(key, self.due(rule, key, state))

    def changes(self) -> Changes:
        """Since this was last asked."""
        made = Changes(
            {key: self._states.get(key) for key in self._changed},
            {device: self.marks_of(device) for device in self._marked},
            self._transitions,
        )
        self._changed, self._marked, self._transitions = set(), set(), []
        return made

    def marks_of(self, device: Device) -> Marks:
        del device
        return {}

    # rules
    def follow_rules(self, now: datetime) -> None:
        """States of rules that hold no longer, or look for something else, end; their alerts with the reason."""
        if self._version == self.rules.version:
            return
        changed = set(self.rules.changed_since(self._version))
        anew, self._version = self._version < 0, self.rules.version
        for key, state in list(self._states.items()):
            if (anew or key.organization in changed) and (reason := self._ends(key, state)) is not None:
                _, told = machine.resolve(key, state, now, reason)
                self._tell(told)
                self._put(key, None)
        self.rules_changed(changed)

    def _ends(self, key: Key, state: State) -> Reason | None:
        """Why it holds no longer, if so."""
        rule = self.rule(key, state)
        if rule is None:
            return self.rules.why_gone(key.organization, key.rule)
        if rule.said.condition.kind not in OF_DEVICES:
            return None
        forgotten = self.rules.forgotten(key.organization, key.target)
        if forgotten is not None and forgotten > (state.noticed or state.over or state.since or forgotten):
            return "device_forgotten"
        return None if self.rules.covers(rule, key.target) else "out_of_scope"

    def rules_changed(self, organizations: set[str]) -> None:
        """For kinds that wait for what does not come."""

    def rule(self, key: Key, state: State) -> Rule | None:
        """None where it holds no longer in the form that the state was made by."""
        rule = self.rules.get(key.organization, key.rule)
        return rule if rule is not None and rule.revision == state.revision else None

    # the clock
    def tick(self, now: datetime) -> None:
        """Everything whose time has come by this moment of the log."""
        self.now = max(self.now, now)
        ended = 0
        while self._timers and self._timers[0][0] <= now and ended < TIMERS_A_TICK:
            at, key = heapq.heappop(self._timers)
            if self._waiting.get(key) != at:
                continue  # it waits for another moment by now
            del self._waiting[key]
            ended += 1
            if key.rule.startswith(TIMER):
                self.fired(key, now)
                continue
            state = self._states.get(key)
            rule = self.rules.get(key.organization, key.rule)
            if rule is None or (state is not None and rule.revision != state.revision):
                continue
            state = state or State(rule.revision)
            self.take(rule, key, state, self.ripened(rule, key, state, now))

    def due(self, rule: Rule, key: Key, state: State) -> datetime | None:
        """When the clock has to look at it again; a quiet one is forgotten after its cooldown."""
        del key
        if state.phase == "quiet" and not state.memory and state.over is not None:
            return state.over + rule.cooldown
        return machine.due(rule, state)

    def fired(self, key: Key, now: datetime) -> None:
        """A timer that is no single rule's."""

    def ripened(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        return machine.tick(rule, key, state, now, self.about(rule, key), self.words(rule, key, state))

    def about(self, rule: Rule, key: Key) -> About:
        raise NotImplementedError

    def words(self, rule: Rule, key: Key, state: State) -> str:
        """The summary of an alert that the clock opens."""
        raise NotImplementedError

    # states
    def saw(self, rule: Rule, key: Key, seen: Seen) -> None:
        state = self._states.get(key)
        if state is None:
            if not seen.bad:
                return
            state = State(rule.revision)
        self.take(rule, key, state, machine.see(rule, key, state, seen, self.about(rule, key)))

    def take(self, rule: Rule, key: Key, before: State, step: Step) -> None:
        after, told = step
        if told is not None and after.phase == "open" and not self._allowed(key.organization, told.at):
            held_back = told.event.evidence
            waits = before._replace(
                phase="pending",
                since=before.since or after.since or told.at,
                noticed=before.noticed or told.at,
                first=before.first or held_back,
            )
            self._put(key, waits)
            self.wait(key, told.at + MINUTE)
            return
        self._tell(told)
        if machine.idle(rule, after, self.now):
            if key in self._states:
                self._put(key, None)
        elif after != before or key not in self._states:
            self._put(key, after)
        self.wait(key, self.due(rule, key, after))

    def _allowed(self, organization: str, at: datetime) -> bool:
        """Whether an organization may open another alert in this minute."""
        minute = int(at.timestamp() // 60)
        held, count = self._openings.get(organization, (minute, 0))
        count = count if held == minute else 0
        self._openings[organization] = (minute, count + 1)
        if count == OPENINGS_MAX:
            _log.warning("an organization opens too many alerts: more wait", organization=organization)
        return count < OPENINGS_MAX

    def _put(self, key: Key, state: State | None) -> None:
        self._changed.add(key)
        target = (key.organization, key.target)
        if state is not None:
            self._states[key] = state
            self._of_target[target].add(key)
            return
        self._states.pop(key, None)
        self._of_target[target].discard(key)
        if not self._of_target[target]:
            del self._of_target[target]

    def _tell(self, told: Transition | None) -> None:
        if told is not None:
            self._transitions.append(told)

    def wait(self, key: Key, at: datetime | None) -> None:
        if at is None:
            self._waiting.pop(key, None)
        elif self._waiting.get(key) != at:
            self._waiting[key] = at
            heapq.heappush(self._timers, (at, key))

    # what is known
    def states(self) -> Iterator[tuple[Key, State]]:
        yield from self._states.items()

    def state(self, key: Key) -> State | None:
        return self._states.get(key)

    def matters(self, key: Key, bad: bool | None) -> bool:
        """Whether such a finding may change anything."""
        state = self._states.get(key)
        if state is None:
            return bool(bad)
        return state.phase != "open" or bad is False

    def remembered(self, organization: str, target: str, rules: Mapping[str, Rule]) -> list[Rule]:
        """Those of these rules that have something to remember of it."""
        held = self._of_target.get((organization, target))
        if held is None:
            return []
        return [rules[key.rule] for key in held if key.rule in rules]

    def busy(self, organization: str, target: str) -> bool:
        """Whether any rule has something to remember of it."""
        return (organization, target) in self._of_target

    def first_due(self) -> datetime | None:
        return self._timers[0][0] if self._timers else None
