"""The projection of ALERTS: one row an alert, as it stands. The same event again changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from contracts import subjects, upcasts
from contracts.alerts import AlertAcknowledged, AlertOpened, AlertResolved
from contracts.envelope import TRACEPARENT, Recorded
from contracts.failures import Unprocessable
from contracts.streams import ALERTS
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.erasing import Target
from services.telemetry.parting import Found
from services.telemetry.place import Checkpoint

_log = log(part="alerts read")
FORGET_ROWS = 5_000  # of one statement: it holds no lock for long
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


class Read(NamedTuple):
    organization: str
    id: str
    recorded: Recorded


class Ready(NamedTuple):
    """Rows by statement, in the order in which they happen to one alert."""

    opened: list[tuple[Any, ...]]
    acknowledged: list[tuple[Any, ...]]
    resolved: list[tuple[Any, ...]]
    links: list[str]


class AlertsProjection:
    name = "alerts"
    stream = ALERTS.name
    subjects = subjects.ALERTS_ALL

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        del place
        await self._directory.complete.wait()
        found = [
            read
            for entry in entries
            if (read := _read(entry)) is not None and not self._erased(read, entry.time_ns)
        ]
        links = [parent for entry in entries if (parent := entry.headers.get(TRACEPARENT)) is not None]
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, (), (), {read.organization for read in found})
        ready = Ready([], [], [], links[:LINKS_MAX])
        for read in found:
            self._sort(read, ready)
        return ready

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error("an event of an alert cannot be stored", sequence=entry.sequence, why=why)
        return Ready([], [], [], [])  # written by ourselves: a defect, which the log names; it stays there

    def _erased(self, read: Read, time_ns: int) -> bool:
        device = getattr(read.recorded.event, "device_id", None)
        return self._directory.erased.has(read.organization, device, time_ns)

    def _sort(self, read: Read, into: Ready) -> None:
        recorded, event = read.recorded, read.recorded.event
        organization = self._dictionaries.organizations[read.organization].id
        head = (organization, read.id, recorded.time, recorded.actor)
        match event:
            case AlertOpened():
                of = (event.rule_id, event.rule_name, event.kind, event.severity)
                about = (event.device_id, event.integration_id, event.metric)
                seen = (event.summary, event.since, json.dumps(event.evidence))
                into.opened.append((*head, *of, *about, *seen))
            case AlertAcknowledged():
                into.acknowledged.append((*head, event.note))
            case AlertResolved():
                evidence = json.dumps(event.evidence)
                into.resolved.append((*head, event.reason, event.note, event.summary, evidence))

    async def write(self, connection: Session, ready: Ready) -> int:
        statements = (
            (_OPENED, ready.opened),
            (_ACKNOWLEDGED, ready.acknowledged),
            (_RESOLVED, ready.resolved),
        )
        for statement, rows in statements:
            if rows:
                await connection.execute(statement, *zip(*rows, strict=True))
        return sum(len(rows) for _, rows in statements)

    def committed(self, ready: Ready) -> None:
        del ready

    def links(self, ready: Ready) -> list[str]:
        return ready.links

    async def known(self, connection: Session, found: Found) -> bool | None:
        organization, id = subjects.named_alert(found.subject)
        try:
            recorded = upcasts.decode(found.headers, found.data, subject=found.subject)
        except Unprocessable:
            return None
        if recorded is None or not isinstance(recorded.event, AlertOpened):
            return None
        if self._erased(Read(organization, id, recorded), found.time_ns):
            return None
        return bool(await connection.fetchval(_KNOWN, organization, id, recorded.time))

    def forget(self) -> None:
        self._dictionaries.forget()


def _read(entry: Entry) -> Read | None:
    """None for what cannot be read, or is a newer service's."""
    try:
        recorded = upcasts.decode(entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence)
    except Unprocessable as failure:
        _log.error("an event of an alert is unreadable", error=str(failure))
        return None
    return None if recorded is None else Read(*subjects.named_alert(entry.subject), recorded)


async def erase(connection: Session, target: Target, before: datetime) -> None:
    """Alerts of a forgotten device go with its readings."""
    await connection.execute(_ERASE, target.organization, target.name, before)


async def forget_old(pool: asyncpg.Pool, days_kept: int, every_s: float) -> None:
    """For ever: what is over goes when its time has passed; what is open stays."""
    while True:
        try:
            while await _forget(pool, days_kept) == FORGET_ROWS:
                pass
        except AWAY as error:
            _log.warning("old alerts stay for now", error=repr(error))
        await asyncio.sleep(every_s)


async def _forget(pool: asyncpg.Pool, days_kept: int) -> int:
    """How many went."""
    async with pool.acquire() as connection:
        done: str = await connection.execute(_FORGET, days_kept, FORGET_ROWS)
    return int(done.split()[1])
