"""What activity says to rules: links that are down or degraded, connects that are refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contracts.activity import ActivityRecorded
from contracts.alert_rules import LinkDown
from services.telemetry.alerting import counting, machine
from services.telemetry.alerting.board import Board
from services.telemetry.alerting.machine import About, Key, Rule, Seen, State, Step

_CREDENTIAL, _INTEGRATION = "credential:", "integration:"
_SILENT = "link.silent"
_WELL = ("link.up", "link.paused", "integration.deleted", "integration.paused")
LINK_KINDS = frozenset(
    (*_WELL, "link.down", "link.refused", "link.degraded", _SILENT, "link.recovered", "link.flowing")
)
REFUSED_KIND = "device.refused"
DETAIL_CHARS = 500  # of what a broker says


class ActivityBoard(Board):
    kinds = ("link", "refused_connects")

    def concerns(self, kinds: Iterable[str]) -> bool:
        return any(kind in LINK_KINDS or kind == REFUSED_KIND for kind in kinds)

    def judge(self, organization: str, event: ActivityRecorded, at: datetime) -> None:
        """One event, in the order of the log."""
        self.now = max(self.now, at)
        if event.kind == REFUSED_KIND:
            self._refused(organization, event, at)
        elif (
            event.kind in LINK_KINDS and event.subject is not None and event.subject.startswith(_INTEGRATION)
        ):
            self._link(organization, event.subject.removeprefix(_INTEGRATION), event, at)

    def _refused(self, organization: str, event: ActivityRecorded, at: datetime) -> None:
        number = event.details.get("left_out", 1)
        credential = (event.subject or "").removeprefix(_CREDENTIAL) or None
        for rule in self.rules.refused(organization, credential):
            key = Key(organization, rule.id, "")
            state = self.state(key) or State(rule.revision)
            step = counting.count(rule, key, state, number if isinstance(number, int) else 1, at, self.now)
            self.take(rule, key, state, step)

    def _link(self, organization: str, integration: str, event: ActivityRecorded, at: datetime) -> None:
        for rule in self.rules.links(organization, integration):
            key = Key(organization, rule.id, integration)
            before = self.state(key) or State(rule.revision)
            memory = condition_after(before.memory or {}, event.kind, event.reason)
            condition = rule.said.condition
            assert isinstance(condition, LinkDown)
            bad = trouble(memory) in condition.states
            summary, detail = (
                f"{integration}: {event.kind.removeprefix('link.')}",
                event.summary[:DETAIL_CHARS],
            )
            if detail:
                summary += f", {detail}"
            evidence = {"kind": event.kind, "reason": event.reason, "at": at.isoformat()}
            state = before._replace(memory=memory or None)
            seen = Seen(bad, at, self.now, summary, {**evidence, "detail": detail})
            self.take(rule, key, before, machine.see(rule, key, state, seen, self.about(rule, key)))

    def due(self, rule: Rule, key: Key, state: State) -> datetime | None:
        if rule.said.condition.kind == "refused_connects":
            return counting.due(rule, state) or super().due(rule, key, state)
        return super().due(rule, key, state)

    def ripened(self, rule: Rule, key: Key, state: State, now: datetime) -> Step:
        if rule.said.condition.kind == "refused_connects":
            return counting.count(rule, key, state, 0, now, now)
        return super().ripened(rule, key, state, now)

    def about(self, rule: Rule, key: Key) -> About:
        if rule.said.condition.kind == "refused_connects":
            return counting.about(rule)
        return About(integration_id=key.target)

    def words(self, rule: Rule, key: Key, state: State) -> str:
        del rule
        seen = state.first or {}
        kind = str(seen.get("kind", "")).removeprefix("link.")
        return f"{key.target}: {kind}, {seen.get('detail', '')}".rstrip(", ")


def condition_after(memory: dict[str, Any], kind: str, reason: str | None) -> dict[str, Any]:
    """What is known of a link after an entry of its activity; empty: it is well."""
    wrong = [*memory.get("wrong", ())]
    match kind:
        case "link.down" | "link.refused":
            return {"state": kind.removeprefix("link.")}
        case "link.degraded" | "link.silent" if reason not in wrong:
            return {"wrong": [*wrong, reason]}
        case "link.degraded" | "link.silent":
            return {"wrong": wrong}
        case "link.recovered" | "link.flowing":
            left = [code for code in wrong if code != reason]
            return {"wrong": left} if left else {}
    return {}


def trouble(memory: dict[str, Any]) -> str | None:
    if "state" in memory:
        return str(memory["state"])
    return "degraded" if memory.get("wrong") else None
