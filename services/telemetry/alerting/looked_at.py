"""What an organization's rules look at, made ready once a change: by metric, device and tag. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator

from contracts.alert_rules import (
    DeadLetterRate,
    NoData,
    RateOfChange,
    TaggedDevices,
    TheseDevices,
    Threshold,
)
from services.telemetry.alerting.machine import Rule

_INFINITE = float("inf")


class Limits:
    """Rules of one metric that look at the same devices; only those that a value may break are looked at."""

    __slots__ = ("_above", "_above_at", "_below", "_below_at", "change_per_s", "high", "ids", "low", "rates")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        self.ids = {rule.id: rule for rule in rules}
        limits = sorted(
            (
                (rule.said.condition.value, rule)
                for rule in rules
                if isinstance(rule.said.condition, Threshold)
            ),
            key=lambda each: each[0],
        )
        above = [each for each in limits if each[1].said.condition.operator in (">", ">=")]  # type: ignore[union-attr]
        below = [each for each in limits if each[1].said.condition.operator in ("<", "<=")]  # type: ignore[union-attr]
        self._above_at, self._above = [at for at, _ in above], [rule for _, rule in above]
        self._below_at, self._below = [at for at, _ in below], [rule for _, rule in below]
        self.high = self._above_at[0] if above else _INFINITE
        self.low = self._below_at[-1] if below else -_INFINITE
        self.rates = tuple(rule for rule in rules if isinstance(rule.said.condition, RateOfChange))
        self.change_per_s = min(
            (
                rule.said.condition.change / rule.said.condition.per_s
                for rule in rules
                if isinstance(rule.said.condition, RateOfChange)
            ),
            default=_INFINITE,
        )

    def broken(self, value: float) -> list[Rule]:
        """Thresholds that a value breaks, or lies at."""
        if self.low < value < self.high:
            return []
        above = self._above[: bisect_right(self._above_at, value)]
        return above + self._below[bisect_left(self._below_at, value) :]


class Silent:
    """Rules of silence: those that look at all devices alike, the shortest first, and those that name some."""

    __slots__ = ("everywhere", "ids", "named")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = sorted(rules, key=lambda rule: rule.for_)
        self.ids = {rule.id: rule for rule in rules}
        self.named = tuple(rule for rule in rules if isinstance(rule.said.scope, TheseDevices))
        self.everywhere = tuple(rule for rule in rules if not isinstance(rule.said.scope, TheseDevices))


def _silent(rules: Iterable[Rule]) -> Silent | None:
    held = [rule for rule in rules if isinstance(rule.said.condition, NoData)]
    return Silent(held) if held else None


class Metric:
    """Rules of one metric: of all devices, of some, and of those with a tag."""

    __slots__ = ("everywhere", "of_device", "silent", "tagged")

    def __init__(self, rules: list[Rule]) -> None:
        judged = [rule for rule in rules if not isinstance(rule.said.condition, NoData)]
        named: defaultdict[str, list[Rule]] = defaultdict(list)
        tagged: defaultdict[str, list[Rule]] = defaultdict(list)
        everywhere = []
        for rule in judged:
            match rule.said.scope:
                case TheseDevices(device_ids=devices):
                    for device in devices:
                        named[device].append(rule)
                case TaggedDevices(tag=tag):
                    tagged[tag].append(rule)
                case _:
                    everywhere.append(rule)
        self.everywhere = Limits(everywhere) if everywhere else None
        self.of_device = {device: Limits(held) for device, held in named.items()}
        self.tagged = {tag: Limits(held) for tag, held in tagged.items()}
        self.silent = _silent(rules)


class OfMessages:
    """An organization's rules that messages are looked at for."""

    __slots__ = ("dead_letters", "metrics", "silent")

    def __init__(self, rules: list[Rule]) -> None:
        by_metric: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            metric = getattr(rule.said.condition, "metric", None)
            if metric is not None:
                by_metric[metric].append(rule)
        self.metrics = {metric: Metric(held) for metric, held in by_metric.items()}
        self.silent = _silent(rule for rule in rules if getattr(rule.said.condition, "metric", None) is None)
        self.dead_letters = tuple(rule for rule in rules if isinstance(rule.said.condition, DeadLetterRate))

    def silences(self) -> Iterator[tuple[str | None, Silent]]:
        """By metric; None: of anything."""
        if self.silent is not None:
            yield None, self.silent
        for name, metric in self.metrics.items():
            if metric.silent is not None:
                yield name, metric.silent
