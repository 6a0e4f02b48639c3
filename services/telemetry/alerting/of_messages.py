"""What messages say to rules: thresholds, rates of change, silence, dead letters. Pure.

The usual sample, which breaks no rule, costs a look at two numbers for each of its metrics that have rules,
however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from contracts.alert_rules import RateOfChange, Threshold
from services.telemetry.alerting import counting, values
from services.telemetry.alerting.board import Marks
from services.telemetry.alerting.looked_at import Limits, OfMessages
from services.telemetry.alerting.machine import About, Key, Rule, State, Step
from services.telemetry.alerting.silence import SilenceBoard
from services.telemetry.decoding import Batch, SampleRow


class MessageBoard(SilenceBoard):
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
                self.hear(held.silent, row.organization, row.device, row.received)
            if row.failure is not None:
                letters[row.organization, row.source] += 1
        for (organization, device), at in batch.heard.items():
            held = self.rules.of_messages.get(organization)
            if held is not None:
                self.hear(held.silent, organization, device, at)
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
            if metric.silent is not None:
                self.heard(metric.silent, organization, device, name, received)
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
        remembered = self.remembered(row.organization, row.device, limits.ids)
        broken = limits.broken(value)
        for rule in _either(broken, remembered, Threshold):
            key = Key(row.organization, rule.id, row.device)
            bad = values.breaks(rule, value)
            if self.matters(key, bad):
                self.saw(rule, key, values.threshold(rule, row, name, value, bad, time, received))
        if limits.rates and before is not None and before[1] is not None:
            seconds = max((time - before[0]).total_seconds(), 1.0)
            rate = (value - before[1]) / seconds
            calm = -limits.change_per_s < rate < limits.change_per_s
            for rule in _either(() if calm else limits.rates, remembered, RateOfChange):
                key = Key(row.organization, rule.id, row.device)
                changed = values.changes(rule, rate)
                if self.matters(key, changed):
                    seen = values.rate(rule, row, name, value, changed, rate, before[:2], time, received)
                    self.saw(rule, key, seen)

    def _dead_letters(self, organization: str, source: str, number: int) -> None:
        for rule in self.rules.of_messages[organization].dead_letters:
            wanted = getattr(rule.said.condition, "integration_id", None)
            if wanted in (None, source):
                key = Key(organization, rule.id, "")
                state = self.state(key) or State(rule.revision)
                self.take(rule, key, state, counting.count(rule, key, state, number, self.now, self.now))

    # the clock
    def due(self, rule: Rule, key: Key, state: State) -> datetime | None:
        match rule.said.condition.kind:
            case "dead_letters":
                return counting.due(rule, state) or super().due(rule, key, state)
            case "no_data":
                return self.silent_at(rule, key, state)
        return super().due(rule, key, state)

    def ripened(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        match rule.said.condition.kind:
            case "dead_letters":
                return counting.count(rule, key, state, 0, now, now)
            case "no_data":
                return self.silent(rule, key, state, now)
        return super().ripened(rule, key, state, now)

    def about(self, rule: Rule, key: Key) -> About:
        if rule.said.condition.kind == "dead_letters":
            return counting.about(rule)
        return About(device_id=key.target, metric=getattr(rule.said.condition, "metric", None))

    def words(self, rule: Rule, key: Key, state: State) -> str:
        return values.words(rule, key, state)


def _either(
    broken: Sequence[Rule], remembered: Sequence[Rule], kind: type[Threshold | RateOfChange]
) -> Iterable[Rule]:
    """Rules that something new may begin of, and those that remember something; each once."""
    if not remembered:
        return broken
    both = {rule.id: rule for rule in (*broken, *remembered) if isinstance(rule.said.condition, kind)}
    return both.values()
