"""Alerts: each has a subject of its own in ALERTS, `alert.<org>.<alert id>`, whose first event is that it opened.

Every event names the rule and what it is about, so that a reader needs none of the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime

from contracts.alert_rules import ConditionKind, Severity
from contracts.calls import Call, Model, Page, Request
from contracts.envelope import Event, Recorded
from contracts.failures import Refused
from contracts.metrics import Words
from contracts.telemetry import Query

AlertState = Literal["open", "acknowledged", "resolved"]
Reason = Literal[
    "recovered",
    "resolved_by_hand",
    "rule_changed",
    "rule_disabled",
    "rule_deleted",
    "out_of_scope",
    "device_forgotten",
    "organization_deleted",
]
ALERT_ID = re.compile(r"alert_[0-9a-f]{24}")


def alert_id(organization: str, rule: str, target: str, opened_us: int) -> str:
    """The same for the same opening, whoever decides it again; no two organizations share one."""
    named = f"{organization}\n{rule}\n{target}\n{opened_us}"
    return "alert_" + hashlib.sha256(named.encode()).hexdigest()[:24]


# events
class _OfAlert(Event):
    rule_id: str
    rule_name: str
    kind: ConditionKind
    severity: Severity
    device_id: str | None = None
    integration_id: str | None = None
    metric: str | None = None
    summary: str


class AlertOpened(_OfAlert):
    """`since` is when what is wrong began. `evidence` is what was seen: values, counts, times, sequences."""

    type = "alert.opened"
    since: datetime
    evidence: dict[str, Any] = {}


class AlertAcknowledged(_OfAlert):
    type = "alert.acknowledged"
    note: str | None = None


class AlertResolved(_OfAlert):
    type = "alert.resolved"
    reason: Reason
    note: str | None = None
    evidence: dict[str, Any] = {}


AlertEvent = AlertOpened | AlertAcknowledged | AlertResolved


# views
class AlertStep(Model):
    """One event of an alert's history."""

    at: datetime
    event: Literal["opened", "acknowledged", "resolved"]
    actor: str
    summary: str
    reason: Reason | None = None
    note: str | None = None
    evidence: dict[str, Any] = {}


class AlertRow(Model):
    id: str
    state: AlertState
    rule_id: str
    rule_name: str
    kind: ConditionKind
    severity: Severity
    device_id: str | None = None
    integration_id: str | None = None
    metric: str | None = None
    summary: str
    since: datetime
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    reason: Reason | None = None  # why it is over
    evidence: dict[str, Any] = {}  # of its opening


class Alert(AlertRow):
    history: tuple[AlertStep, ...] = ()


# queries and commands
class ListAlerts(Query):
    state: AlertState | Literal["unresolved"] | None = None  # unresolved: open or acknowledged
    rule_id: str | None = None
    device_id: str | None = None
    severity: Severity | None = None
    from_: AwareDatetime | None = None  # of the opening


class GetAlert(Model):
    organization: str
    id: str


class AcknowledgeAlert(Request):
    """Somebody knows. Again is harmless; Refused("alert.resolved") for one that is over."""

    id: str
    note: Words | None = None


class ResolveAlert(Request):
    """Over by a person's word: another one opens only after what is wrong was well in between."""

    id: str
    note: Words | None = None


LIST_ALERTS = Call("query.telemetry.alerts", ListAlerts, Page[AlertRow])
GET_ALERT = Call("query.telemetry.alert", GetAlert, Alert)
ACKNOWLEDGE_ALERT = Call("command.telemetry.acknowledge-alert", AcknowledgeAlert, Alert)
RESOLVE_ALERT = Call("command.telemetry.resolve-alert", ResolveAlert, Alert)


# what an alert is, as its events say; pure
def step_of(recorded: Recorded) -> AlertStep | None:
    """None for what is no event of an alert."""
    if not isinstance(recorded.event, AlertEvent):
        return None
    said = recorded.event.model_dump(include=set(AlertStep.model_fields))
    said["event"] = recorded.event.type.removeprefix("alert.")
    return AlertStep(at=recorded.time, actor=recorded.actor, **said)


def fold(id: str, events: Iterable[Recorded]) -> Alert | None:
    """None where its opening is not known (any more)."""
    held: Alert | None = None
    for recorded in events:
        held = evolve(id, held, recorded)
    return held


def evolve(id: str, held: Alert | None, recorded: Recorded) -> Alert | None:
    """The alert after the event; whatever comes after its end changes nothing."""
    event, step = recorded.event, step_of(recorded)
    if held is None:
        return _opened(id, event, recorded.time, step) if isinstance(event, AlertOpened) and step else None
    if step is None or step.event == "opened" or held.state == "resolved":
        return held
    history = (*held.history, step)
    if isinstance(event, AlertResolved):
        over = {"state": "resolved", "resolved_at": recorded.time, "reason": event.reason}
        return held.model_copy(update={**over, "history": history})
    if held.state == "acknowledged":
        return held
    known = {"acknowledged_at": recorded.time, "acknowledged_by": recorded.actor}
    return held.model_copy(update={"state": "acknowledged", **known, "history": history})


def _opened(id: str, event: AlertOpened, at: datetime, step: AlertStep) -> Alert:
    return Alert(id=id, state="open", opened_at=at, history=(step,), **event.model_dump())


def decide(command: AcknowledgeAlert | ResolveAlert, held: Alert | None) -> list[AlertEvent]:
    """Refused("not_found") and ("alert.resolved")."""
    if held is None:
        raise Refused("not_found", "no such alert")
    of = held.model_dump(include=set(_OfAlert.model_fields))
    match command:
        case AcknowledgeAlert():
            if held.state == "resolved":
                raise Refused("alert.resolved", "it is over: there is nothing left to acknowledge")
            return [] if held.state == "acknowledged" else [AlertAcknowledged(**of, note=command.note)]
        case ResolveAlert():
            if held.state == "resolved":
                return []
            return [AlertResolved(**of, reason="resolved_by_hand", note=command.note)]
