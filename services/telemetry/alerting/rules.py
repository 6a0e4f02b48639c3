"""The rules in force, from the registry: made ready once a change, by organization and by what they look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from contracts.alert_rules import (
    BUILT_IN,
    LINKS,
    AlertRule,
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    DeadLetterRate,
    LinkDown,
    NoData,
    Offline,
    RateOfChange,
    RefusedConnects,
    TheseDevices,
    Threshold,
)
from contracts.alerts import Reason
from contracts.envelope import Event
from contracts.organizations import OrganizationDeleted
from services.telemetry.alerting.machine import Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    """Rules of one metric: of all devices, and of some."""

    __slots__ = ("everywhere", "of_device", "silent")

    def __init__(self, rules: list[Rule]) -> None:
        judged = [rule for rule in rules if not isinstance(rule.said.condition, NoData)]
        named: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in judged:
            if isinstance(rule.said.scope, TheseDevices):
                for device in rule.said.scope.device_ids:
                    named[device].append(rule)
        everywhere = [rule for rule in judged if not isinstance(rule.said.scope, TheseDevices)]
        self.everywhere = Limits(everywhere) if everywhere else None
        self.of_device = {device: Limits(held) for device, held in named.items()}
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


class Rules:
    """Of all organizations; the built-in rule holds also for one of which nothing was ever heard."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Rule]] = {}  # also those that are switched off
        self._deleted: set[str] = set()
        self.of_messages: dict[str, OfMessages] = {}
        self.offline: dict[str, tuple[Rule, ...]] = {}
        self.version = 0
        self._changed: dict[str, int] = {}  # the version in which each organization's were changed last

    def apply(self, organization: str, id: str, event: Event, sequence: int, at: datetime) -> bool:
        """Whether the event was of rules, or ends them."""
        match event:
            case AlertRuleCreated(rule=said) | AlertRuleChanged(rule=said):
                self._put(organization, id, said, sequence, at)
            case AlertRuleDeleted():
                self._held.get(organization, {}).pop(id, None)
            case OrganizationDeleted():
                self._deleted.add(organization)
                self._held.pop(organization, None)
            case _:
                return False
        self._compile(organization)
        self.version += 1
        self._changed[organization] = self.version
        return True

    def changed_since(self, version: int) -> list[str]:
        """Organizations."""
        return [organization for organization, changed in self._changed.items() if changed > version]

    def get(self, organization: str, id: str) -> Rule | None:
        """None for one that does not hold."""
        if organization in self._deleted:
            return None
        rule = self._held.get(organization, {}).get(id)
        if rule is None:
            return _built_in(organization) if id == LINKS else None
        return rule if rule.said.enabled else None

    def why_gone(self, organization: str, id: str) -> Reason:
        """Of a rule that does not hold, or holds in another form."""
        if organization in self._deleted:
            return "organization_deleted"
        rule = self._held.get(organization, {}).get(id)
        if rule is None:
            return "rule_changed" if id == LINKS else "rule_deleted"
        return "rule_changed" if rule.said.enabled else "rule_disabled"

    def of(self, organization: str, wanted: Callable[[Rule], bool]) -> list[Rule]:
        held = self._held.get(organization, {})
        ids = [*held, *([] if LINKS in held else [LINKS])]
        return [rule for id in ids if (rule := self.get(organization, id)) is not None and wanted(rule)]

    def links(self, organization: str, integration: str) -> list[Rule]:
        def about(rule: Rule) -> bool:
            condition = rule.said.condition
            if not isinstance(condition, LinkDown):
                return False
            return not condition.integration_ids or integration in condition.integration_ids

        return self.of(organization, about)

    def refused(self, organization: str, credential: str | None) -> list[Rule]:
        def about(rule: Rule) -> bool:
            condition = rule.said.condition
            if not isinstance(condition, RefusedConnects):
                return False
            return condition.credential_id in (None, credential)

        return self.of(organization, about)

    def _put(self, organization: str, id: str, said: AlertRule, sequence: int, at: datetime) -> None:
        held = self._held.setdefault(organization, {})
        before = held.get(id) or (_built_in(organization) if id == LINKS else None)
        revision, since = sequence, at
        if before is not None and _same(before.said, said):
            revision, since = before.revision, before.since
        held[id] = ready(organization, id, said, revision, since)

    def _compile(self, organization: str) -> None:
        rules = self.of(organization, lambda _: True)
        of_messages = [rule for rule in rules if rule.said.condition.kind in _OF_MESSAGES]
        offline = tuple(rule for rule in rules if isinstance(rule.said.condition, Offline))
        self.of_messages.pop(organization, None)
        self.offline.pop(organization, None)
        if of_messages:
            self.of_messages[organization] = OfMessages(of_messages)
        if offline:
            self.offline[organization] = offline


_OF_MESSAGES = ("threshold", "rate_of_change", "no_data", "dead_letters")


def ready(organization: str, id: str, said: AlertRule, revision: int, since: datetime) -> Rule:
    for_s = getattr(said.condition, "for_s", 0)
    return Rule(
        organization, id, said, revision, since, timedelta(seconds=for_s), timedelta(seconds=said.cooldown_s)
    )


def _built_in(organization: str) -> Rule:
    return ready(organization, LINKS, BUILT_IN, 0, _EPOCH)


def _same(before: AlertRule, said: AlertRule) -> bool:
    """Whether alerts that are open stay so: what is looked for, and where, is the same."""
    return (before.condition, before.scope, before.enabled) == (said.condition, said.scope, said.enabled)


def covers(rule: Rule, device: str) -> bool:
    scope = rule.said.scope
    return not isinstance(scope, TheseDevices) or device in scope.device_ids
