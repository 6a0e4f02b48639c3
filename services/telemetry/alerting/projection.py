"""What is stored of ALERTS: one row an alert, as it stands."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from contracts import subjects
from contracts.alerts import AlertAcknowledged, AlertOpened, AlertResolved
from contracts.envelope import Event, Recorded
from contracts.streams import ALERTS
from services.telemetry.checkpoints import Session
from services.telemetry.entities import Entities
from services.telemetry.erasing import Target

_OPENED = (
    "INSERT INTO alerts (organization, id, opened_at, actor, rule_id, rule_name, kind, severity, device_id,"
    " integration_id, metric, summary, since, evidence)"
    " SELECT * FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[],"
    " $14::jsonb[]) ON CONFLICT DO NOTHING"
)
_ACKNOWLEDGED = (
    "UPDATE alerts held SET state = 'acknowledged', acknowledged_at = said.at, acknowledged_by = said.actor,"
    " acknowledge_note = said.note"
    " FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::text[])"
    " AS said (organization, id, at, actor, note)"
    " WHERE held.organization = said.organization AND held.id = said.id AND held.state = 'open'"
)
_RESOLVED = (
    "UPDATE alerts held SET state = 'resolved', resolved_at = said.at, resolved_by = said.actor,"
    " reason = said.reason, resolve_note = said.note, resolve_summary = said.summary,"
    " resolve_evidence = said.evidence"
    " FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],"
    " $8::jsonb[]) AS said (organization, id, at, actor, reason, note, summary, evidence)"
    " WHERE held.organization = said.organization AND held.id = said.id AND held.state <> 'resolved'"
)
_KNOWN = (
    "SELECT EXISTS (SELECT FROM alerts held JOIN organizations o ON o.id = held.organization"
    " WHERE o.name = $1 AND held.id = $2 AND held.opened_at = $3)"
)
_ERASE = "DELETE FROM alerts WHERE organization = $1 AND device_id = $2 AND opened_at < $3"
_FORGET = (
    "DELETE FROM alerts WHERE (organization, id) IN (SELECT organization, id FROM alerts"
    " WHERE state = 'resolved' AND resolved_at < now() - make_interval(days => $1) LIMIT $2)"
)


def _values(recorded: Recorded) -> tuple[Any, ...]:
    """What an event's statement takes, beside organization, id and time."""
    match recorded.event:
        case AlertOpened() as event:
            of = (event.rule_id, event.rule_name, event.kind, event.severity)
            about = (event.device_id, event.integration_id, event.metric)
            return (recorded.actor, *of, *about, event.summary, event.since, json.dumps(event.evidence))
        case AlertAcknowledged(note=note):
            return recorded.actor, note
        case AlertResolved() as event:
            return recorded.actor, event.reason, event.note, event.summary, json.dumps(event.evidence)
    return ()


def _device(event: Event) -> str | None:
    return getattr(event, "device_id", None)


ALERTS_READ = Entities(
    name="alerts",
    stream=ALERTS.name,
    subjects=subjects.ALERTS_ALL,
    named=subjects.named_alert,
    statements=((AlertOpened, _OPENED), (AlertAcknowledged, _ACKNOWLEDGED), (AlertResolved, _RESOLVED)),
    values=_values,
    device=_device,
    known=_KNOWN,
    forget=_FORGET,
)


async def erase(connection: Session, target: Target, before: datetime) -> None:
    """Alerts of a forgotten device go with its readings."""
    await connection.execute(_ERASE, target.organization, target.name, before)
