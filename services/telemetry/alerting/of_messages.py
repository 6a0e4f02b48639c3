"""What messages say to rules: thresholds, rates of change, silence, dead letters. Pure.

The usual sample, which breaks no rule, costs a look at two numbers for each of its metrics that have rules,
however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from contracts.alert_rules import NoData, TheseDevices
from services.telemetry.alerting import counting, machine, values
from services.telemetry.alerting.board import Board, Device, Marks
from services.telemetry.alerting.looked_at import Limits, Metric, OfMessages
from services.telemetry.alerting.machine import About, Key, Rule, Seen, State, Step
from services.telemetry.alerting.rules import Rules
from services.telemetry.decoding import Batch, SampleRow


class MessageBoard(Board):
    kinds = ("threshold", "rate_of_change", "no_data", "dead_letters")

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._heard: dict[str, dict[str, datetime]] = {}  # of organizations with rules: its devices
        self._marks: dict[Device, Marks] = {}

    # what is known of devices
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

    # a batch
    def concerns(self, batch: Batch) -> bool:
        """Whether any rule looks at it."""
        watched = self.rules.of_messages
        return bool(watched) and any(row.organization in watched for row in batch.messages)

    def judge(self, batch: Batch) -> None:
        """All of a batch, in the order of the log."""
        received: dict[int, datetime] = {}
        letters: Counter[tuple[str, str]] = Counter()
        for row in batch.messages:
            held = self.rules.of_messages.get(row.organization)
            if held is None:
                continue
            received[row.sequence] = row.received
            self.now = max(self.now, row.received)
            if row.device is not None:
                self._hear(held, row.organization, row.device, row.received)
            if row.failure is not None:
                letters[row.organization, row.source] += 1
        for (organization, device), at in batch.heard.items():
            held = self.rules.of_messages.get(organization)
            if held is not None:
                self._hear(held, organization, device, at)
        for sample in batch.samples:
            held = self.rules.of_messages.get(sample.organization)
            if held is not None:
                self._sample(held, sample, received.get(sample.sequence, self.now))
        for (organization, source), number in letters.items():
            self._dead_letters(organization, source, number)
        self.tick(self.now)

    def _sample(self, held: OfMessages, row: SampleRow, received: datetime) -> None:
        organization, device = row.organization, row.device
        marks: Marks | None = None
        for at, name in enumerate(row.metrics):
            metric = held.metrics.get(name)
            if metric is None:
                continue
            if marks is None:
                marks = self._marks.setdefault((organization, device), {})
            # A clock that is ahead must not make what comes after it late.
            time = min(row.time, received)
            before = marks.get(name)
            if before is not None and time <= before[0]:
                continue  # late, or known already
            value = values.number(row, at)
            marks[name] = (time, value, received)
            self._marked.add((organization, device))
            if metric.silent:
                self._heard_metric(metric, organization, device, name, before is None)
            if value is not None:
                if metric.everywhere is not None:
                    self._judge(metric.everywhere, row, name, value, time, received, before)
                if device in metric.of_device:
                    self._judge(metric.of_device[device], row, name, value, time, received, before)
                if metric.tagged:
                    for tag in self.rules.tags(organization, device) & metric.tagged.keys():
                        self._judge(metric.tagged[tag], row, name, value, time, received, before)

    def _judge(
        self,
        limits: Limits,
        row: SampleRow,
        name: str,
        value: float,
        time: datetime,
        received: datetime,
        before: tuple[datetime, float | None, datetime] | None,
    ) -> None:
        busy = self.busy(row.organization, row.device)
        if limits.thresholds and (busy or not limits.low < value < limits.high):
            for rule in limits.thresholds:
                key = Key(row.organization, rule.id, row.device)
                bad = values.breaks(rule, value)
                if self.matters(key, bad):
                    self.saw(rule, key, values.threshold(rule, row, name, value, bad, time, received))
        if limits.rates and before is not None and before[1] is not None:
            seconds = max((time - before[0]).total_seconds(), 1.0)
            rate = (value - before[1]) / seconds
            if busy or not -limits.change_per_s < rate < limits.change_per_s:
                for rule in limits.rates:
                    key = Key(row.organization, rule.id, row.device)
                    bad = values.changes(rule, rate)
                    if self.matters(key, bad):
                        seen = values.rate(rule, row, name, value, bad, rate, before[:2], time, received)
                        self.saw(rule, key, seen)

    def _dead_letters(self, organization: str, source: str, number: int) -> None:
        for rule in self.rules.of_messages[organization].dead_letters:
            wanted = getattr(rule.said.condition, "integration_id", None)
            if wanted in (None, source):
                key = Key(organization, rule.id, "")
                state = self.state(key) or State(rule.revision)
                self.take(rule, key, state, counting.count(rule, key, state, number, self.now, self.now))

    # silence
    def _hear(self, held: OfMessages, organization: str, device: str, at: datetime) -> None:
        heard = self._heard.setdefault(organization, {})
        before = heard.get(device)
        if before is None or at > before:
            heard[device] = at
        if held.silent:
            for rule in held.silent:
                if before is None:
                    self._arm_one(rule, organization, device)
            if self.busy(organization, device):
                self._break_silence(held.silent, organization, device, at)

    def _heard_metric(
        self, metric: Metric, organization: str, device: str, name: str, is_first: bool
    ) -> None:
        if is_first:
            for rule in metric.silent:
                self._arm_one(rule, organization, device)
        if self.busy(organization, device):
            received = self._marks[organization, device][name][2]
            self._break_silence(metric.silent, organization, device, received)

    def _break_silence(self, rules: tuple[Rule, ...], organization: str, device: str, at: datetime) -> None:
        for rule in rules:
            key = Key(organization, rule.id, device)
            state = self.state(key)
            if state is not None and state.phase == "open":
                evidence = {"received_at": at.isoformat()}
                seen = Seen(False, at, max(at, self.now), f"{_whose(rule, device)} came again", evidence)
                self.take(rule, key, state, machine.see(rule, key, state, seen, self.about(rule, key)))

    def _arm(self, organization: str) -> None:
        held = self.rules.of_messages.get(organization)
        if held is None:
            return
        for rule in (*held.silent, *(rule for metric in held.metrics.values() for rule in metric.silent)):
            scope = rule.said.scope
            named = scope.device_ids if isinstance(scope, TheseDevices) else self._heard[organization]
            for device in named:
                self._arm_one(rule, organization, device)

    def _arm_one(self, rule: Rule, organization: str, device: str) -> None:
        if not self.rules.covers(rule, device):
            return
        key = Key(organization, rule.id, device)
        self.wait(key, self.due(rule, key, self.state(key) or State(rule.revision)))

    def _last(self, rule: Rule, key: Key) -> datetime | None:
        """When it was last heard; None where its silence is no news."""
        condition = rule.said.condition
        assert isinstance(condition, NoData)
        heard = self._heard.get(key.organization, {}).get(key.target)
        if condition.metric is not None:
            mark = self._marks.get((key.organization, key.target), {}).get(condition.metric)
            heard = None if mark is None else mark[2]
        if isinstance(rule.said.scope, TheseDevices):
            forgotten = self.rules.forgotten(key.organization, key.target)
            return max(each for each in (rule.since, heard, forgotten) if each is not None)
        return None if heard is None or heard < rule.since - rule.for_ else heard

    # the clock
    def due(self, rule: Rule, key: Key, state: State) -> datetime | None:
        match rule.said.condition.kind:
            case "dead_letters":
                return counting.due(rule, state) or super().due(rule, key, state)
            case "no_data":
                last = None if state.phase == "open" else self._last(rule, key)
                if last is None:
                    return super().due(rule, key, state)
                silent = last + rule.for_
                return silent if state.over is None else max(silent, state.over + rule.cooldown)
        return super().due(rule, key, state)

    def ripened(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        match rule.said.condition.kind:
            case "dead_letters":
                return counting.count(rule, key, state, 0, now, now)
            case "no_data":
                return self._silent(rule, key, state, now)
        return super().ripened(rule, key, state, now)

    def _silent(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        if not self.rules.covers(rule, key.target):
            return state, None
        last, ripe = self._last(rule, key), self.due(rule, key, state)
        if last is None or ripe is None or now < ripe or state.phase == "open":
            return state, None
        since = state._replace(since=last)
        evidence = {"last_heard_at": last.isoformat(), "limit_s": rule.for_.total_seconds()}
        words = f"no {_whose(rule, key.target)} for {rule.for_.total_seconds():g} s"
        return machine.opened(rule, key, since, now, words, evidence, self.about(rule, key))

    def about(self, rule: Rule, key: Key) -> About:
        if rule.said.condition.kind == "dead_letters":
            return counting.about(rule)
        return About(device_id=key.target, metric=getattr(rule.said.condition, "metric", None))

    def words(self, rule: Rule, key: Key, state: State) -> str:
        return values.words(rule, key, state)


def _whose(rule: Rule, device: str) -> str:
    metric = getattr(rule.said.condition, "metric", None)
    return f"data of {device}" if metric is None else f"{metric} of {device}"
