"""What an organization's rules look at, made ready once a change: by metric, device and tag. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

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
    """Rules of one metric that look at the same devices. A value between `low` and `high` breaks none of them."""

    __slots__ = ("change_per_s", "high", "low", "rates", "thresholds")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        self.thresholds = tuple(rule for rule in rules if isinstance(rule.said.condition, Threshold))
        self.rates = tuple(rule for rule in rules if isinstance(rule.said.condition, RateOfChange))
        self.low, self.high, self.change_per_s = -_INFINITE, _INFINITE, _INFINITE
        for rule in rules:
            match rule.said.condition:
                case Threshold(operator=">" | ">=", value=limit):
                    self.high = min(self.high, limit)
                case Threshold(value=limit):
                    self.low = max(self.low, limit)
                case RateOfChange(change=change, per_s=per_s):
                    self.change_per_s = min(self.change_per_s, change / per_s)


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
        self.silent = tuple(rule for rule in rules if isinstance(rule.said.condition, NoData))


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
        self.silent = tuple(
            rule
            for rule in rules
            if rule.said.condition.kind == "no_data" and rule.said.condition.metric is None
        )
        self.dead_letters = tuple(rule for rule in rules if isinstance(rule.said.condition, DeadLetterRate))
