"""The rules in force, from the registry: made ready once a change, by organization and by what they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from contracts.alert_rules import (
    BUILT_IN,
    LINKS,
    AlertRule,
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    LinkDown,
    Offline,
    RefusedConnects,
    TaggedDevices,
    TheseDevices,
)
from contracts.alerts import Reason
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Event
from contracts.organizations import OrganizationDeleted
from services.telemetry.alerting.looked_at import OfMessages
from services.telemetry.alerting.machine import Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TAGS: Mapping[str, frozenset[str]] = MappingProxyType({})


class Rules:
    """Of all organizations; the built-in rule holds also for one of which nothing was ever heard."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Rule]] = {}  # also those that are switched off
        self._deleted: set[str] = set()
        self.of_messages: dict[str, OfMessages] = {}
        self.offline: dict[str, tuple[Rule, ...]] = {}
        self.version = 0
        self._tags: dict[str, dict[str, frozenset[str]]] = {}
        self._by_tag: set[str] = set()  # organizations with rules that look at tags
        self._forgotten: dict[tuple[str, str], datetime] = {}
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
            case DeviceDescribed(device_id=device, tags=tags):
                return self._tagged(organization, device, frozenset(tags))
            case DeviceForgotten(device_id=device):
                self._forgotten[organization, device] = at
                self._tags.get(organization, {}).pop(device, None)
                self._change(organization)
                return True
            case _:
                return False
        self._compile(organization)
        self._change(organization)
        return True

    def _tagged(self, organization: str, device: str, tags: frozenset[str]) -> bool:
        held = self._tags.setdefault(organization, {})
        if held.get(device, frozenset()) != tags:
            if tags:
                held[device] = tags
            else:
                del held[device]
            if organization in self._by_tag:
                self._change(organization)
        return True

    def _change(self, organization: str) -> None:
        self.version += 1
        self._changed[organization] = self.version

    def tags(self, organization: str, device: str) -> frozenset[str]:
        return self._tags.get(organization, _NO_TAGS).get(device, frozenset())

    def forgotten(self, organization: str, device: str) -> datetime | None:
        """When it was last forgotten: what was seen before that is nobody's."""
        return self._forgotten.get((organization, device))

    def covers(self, rule: Rule, device: str) -> bool:
        match rule.said.scope:
            case TheseDevices(device_ids=devices):
                return device in devices
            case TaggedDevices(tag=tag):
                return tag in self.tags(rule.organization, device)
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
        self._by_tag.discard(organization)
        if any(isinstance(rule.said.scope, TaggedDevices) for rule in rules):
            self._by_tag.add(organization)
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
