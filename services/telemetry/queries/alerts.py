"""Alerts, the newest opening first; one with its history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select, tuple_

from contracts.alerts import Alert, AlertRow, AlertStep, GetAlert, ListAlerts
from contracts.calls import Page
from contracts.failures import Refused
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import alerts

_KIND = "alerts"
_ORDER = (alerts.c.opened_at, alerts.c.id)
_PREFIX, _HALF = "alert_", 12  # hexadecimal digits of an id


async def list_alerts(store: ReadStore, query: ListAlerts) -> Page[AlertRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, query.organization, last.opened_at, *_halves(last.id))
    return Page(items=[AlertRow(**_fields(row)) for row in page], next_cursor=cursor)


async def get_alert(store: ReadStore, query: GetAlert) -> Alert:
    """Refused("not_found") for one that is not there, or is another organization's."""
    rows = await store.read(query.organization, select(alerts).where(alerts.c.id == query.id))
    if not rows:
        raise Refused("not_found", "no such alert")
    return Alert(**_fields(rows[0]), history=tuple(_history(rows[0])))


def statement(query: ListAlerts) -> Select[Any]:
    held = alerts.c
    same = {
        held.state: None if query.state == "unresolved" else query.state,
        held.rule_id: query.rule_id,
        held.device_id: query.device_id,
        held.severity: query.severity,
    }
    wanted: list[ColumnElement[bool]] = [
        column == value for column, value in same.items() if value is not None
    ]
    if query.state == "unresolved":
        wanted.append(held.state != "resolved")  # as the index of these says it
    if query.from_ is not None:
        wanted.append(held.opened_at >= query.from_)
    if query.cursor is not None:
        at, high, low = cursors.decode(_KIND, query.organization, query.cursor, datetime, int, int)
        after = f"{_PREFIX}{high:0{_HALF}x}{low:0{_HALF}x}"
        wanted += [held.opened_at <= at, tuple_(*_ORDER) < tuple_(at, after)]
    return (
        select(alerts)
        .where(and_(True, *wanted))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(query.limit + 1)
    )


def _halves(id: str) -> tuple[int, int]:
    """As cursors hold it: numbers."""
    digits = id.removeprefix(_PREFIX)
    return int(digits[:_HALF], 16), int(digits[_HALF:], 16)


def _fields(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in AlertRow.model_fields}


def _history(row: Row[Any]) -> list[AlertStep]:
    steps = [
        AlertStep(
            at=row.opened_at, event="opened", actor=row.actor, summary=row.summary, evidence=row.evidence
        )
    ]
    if row.acknowledged_at is not None:
        steps.append(
            AlertStep(
                at=row.acknowledged_at,
                event="acknowledged",
                actor=row.acknowledged_by,
                summary=row.summary,
                note=row.acknowledge_note,
            )
        )
    if row.resolved_at is not None:
        steps.append(
            AlertStep(
                at=row.resolved_at,
                event="resolved",
                actor=row.resolved_by,
                summary=row.resolve_summary,
                reason=row.reason,
                note=row.resolve_note,
                evidence=row.resolve_evidence,
            )
        )
    return steps
