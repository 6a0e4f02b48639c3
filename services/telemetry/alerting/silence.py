"""Devices that say nothing. Pure.

Of all devices alike, one timer a device (or a device and metric) does for however many rules: it comes with the first
of them that might be broken, and goes on to the next. Devices that a rule names have a timer each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from contracts.alert_rules import NoData, TheseDevices
from services.telemetry.alerting import machine
from services.telemetry.alerting.board import MINUTE, TIMER, Board, Device, Marks
from services.telemetry.alerting.looked_at import Silent
from services.telemetry.alerting.machine import Key, Rule, Seen, State, Step
from services.telemetry.alerting.rules import Rules


class SilenceBoard(Board):
    """What is known of devices of organizations with rules: when each was heard, and its newest values."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._heard: dict[str, dict[str, datetime]] = {}
        self._marks: dict[Device, Marks] = {}

    def unknown(self) -> list[str]:
        """Organizations with rules, of which nothing was learnt yet."""
        return [each for each in self.rules.of_messages if each not in self._heard]

    def learn(self, organization: str, heard: Mapping[str, datetime], marks: Mapping[str, Marks]) -> None:
        self._heard[organization] = dict(heard)
        for device, held in marks.items():
            self._marks[organization, device] = dict(held)
        self._arm(organization)

    def forget_devices(self) -> None:
        self._heard.clear()
        self._marks.clear()

    def marks_of(self, device: Device) -> Marks:
        return self._marks.get(device, {})

    def rules_changed(self, organizations: set[str]) -> None:
        for organization in self._heard.keys() - self.rules.of_messages.keys():
            for device in self._heard.pop(organization):
                self._marks.pop((organization, device), None)
        for organization in organizations & self._heard.keys():
            self._forget(organization)
            self._arm(organization)

    def _forget(self, organization: str) -> None:
        """What was seen of devices before they were forgotten."""
        heard = self._heard[organization]
        for device, at in list(heard.items()):
            forgotten = self.rules.forgotten(organization, device)
            if forgotten is not None and at <= forgotten:
                del heard[device]
                if self._marks.pop((organization, device), None) is not None:
                    self._marked.add((organization, device))

    # something came
    def hear(self, silent: Silent | None, organization: str, device: str, at: datetime) -> None:
        heard = self._heard.setdefault(organization, {})
        before = heard.get(device)
        if before is None or at > before:
            heard[device] = at
        if silent is not None:
            self.heard(silent, organization, device, None, at)

    def heard(self, silent: Silent, organization: str, device: str, metric: str | None, at: datetime) -> None:
        """Something of a device, or of a metric of it, which is noted already."""
        if silent.everywhere:
            key = Key(organization, TIMER + (metric or ""), device)
            if key not in self._waiting:
                self.wait(key, at + silent.everywhere[0].for_)
        for rule in self.remembered(organization, device, silent.ids):
            own = Key(organization, rule.id, device)
            state = self.state(own)
            if state is not None and state.phase != "quiet":
                words, evidence = f"{_whose(rule, device)} came again", {"received_at": at.isoformat()}
                seen = Seen(False, at, max(at, self.now), words, evidence)
                self.take(rule, own, state, machine.see(rule, own, state, seen, self.about(rule, own)))

    # nothing came
    def _arm(self, organization: str) -> None:
        held = self.rules.of_messages.get(organization)
        if held is None:
            return
        for metric, silent in held.silences():
            for rule in silent.named:
                assert isinstance(rule.said.scope, TheseDevices)
                for device in rule.said.scope.device_ids:
                    key = Key(organization, rule.id, device)
                    self.wait(key, self.due(rule, key, self.state(key) or State(rule.revision)))
            if silent.everywhere:
                for device in self._heard[organization]:
                    last = self._last_heard(organization, device, metric)
                    if last is not None:
                        key = Key(organization, TIMER + (metric or ""), device)
                        self.wait(key, last + silent.everywhere[0].for_)

    def fired(self, key: Key, now: datetime) -> None:
        """The rules that a device's silence breaks by now; and the timer for the next."""
        held = self.rules.of_messages.get(key.organization)
        metric = key.rule.removeprefix(TIMER) or None
        last = self._last_heard(key.organization, key.target, metric)
        if held is None or last is None:
            return
        for rule in _everywhere(held.silences(), metric):
            if last + rule.for_ > now:
                self.wait(key, last + rule.for_)
                return
            own = Key(key.organization, rule.id, key.target)
            state = self.state(own) or State(rule.revision)
            if state.revision == rule.revision:
                self.take(rule, own, state, self.silent(rule, own, state, now))

    def silent(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        """An alert, where its silence is news, and the cooldown of the last one is over."""
        last = self._last(rule, key)
        cooling = state.over is not None and now < state.over + rule.cooldown
        covered = self.rules.covers(rule, key.target)
        if last is None or now < last + rule.for_ or cooling or not covered or state.phase == "open":
            return state, None
        seconds = rule.for_.total_seconds()
        evidence = {"last_heard_at": last.isoformat(), "limit_s": seconds}
        words = f"no {_whose(rule, key.target)} for {seconds:g} s"
        since = state._replace(since=last)
        return machine.opened(rule, key, since, now, words, evidence, self.about(rule, key))

    def silent_at(self, rule: Rule, key: Key, state: State) -> datetime | None:
        """When a rule's own timer has to look: for devices that it names, and after a cooldown."""
        if state.phase == "open":
            return None
        if state.phase == "pending":  # there were too many at once
            return max(state.noticed or self.now, self.now) + MINUTE
        cooled = None if state.over is None else state.over + rule.cooldown
        if not isinstance(rule.said.scope, TheseDevices):
            return cooled
        last = self._last(rule, key)
        ends = None if last is None else last + rule.for_
        return max((each for each in (cooled, ends) if each is not None), default=None)

    def _last(self, rule: Rule, key: Key) -> datetime | None:
        """Since when it is silent; None where that is no news."""
        condition = rule.said.condition
        assert isinstance(condition, NoData)
        heard = self._last_heard(key.organization, key.target, condition.metric)
        if isinstance(rule.said.scope, TheseDevices):
            forgotten = self.rules.forgotten(key.organization, key.target)
            return max(each for each in (rule.since, heard, forgotten) if each is not None)
        return None if heard is None or heard < rule.since - rule.for_ else heard

    def _last_heard(self, organization: str, device: str, metric: str | None) -> datetime | None:
        if metric is None:
            return self._heard.get(organization, {}).get(device)
        mark = self._marks.get((organization, device), {}).get(metric)
        return None if mark is None else mark[2]


def _everywhere(silences: Iterable[tuple[str | None, Silent]], metric: str | None) -> tuple[Rule, ...]:
    return next((silent.everywhere for name, silent in silences if name == metric), ())


def _whose(rule: Rule, device: str) -> str:
    metric = getattr(rule.said.condition, "metric", None)
    return f"data of {device}" if metric is None else f"{metric} of {device}"
