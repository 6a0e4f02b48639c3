"""The projection of ACTIVITY: one row an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from contracts import upcasts
from contracts.activity import ActivityRecorded
from contracts.envelope import TRACEPARENT
from contracts.failures import Unprocessable
from contracts.streams import ACTIVITY
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint

_log = log(part="activity")
COLUMNS = (
    "time",
    "sequence",
    "organization",
    "epoch",
    "id",
    "kind",
    "status",
    "summary",
    "actor",
    "subject",
    "device_id",
    "reason",
    "duration_ms",
    "details",
)


class Ready:
    __slots__ = ("links", "rows")

    def __init__(self, rows: list[tuple[Any, ...]], links: list[str]) -> None:
        self.rows, self.links = rows, links


class ActivityProjection:
    name = "activity"
    stream = ACTIVITY.name

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        rows: list[tuple[Any, ...]] = []
        links: list[str] = []
        organizations = {entry.subject.split(".")[1] for entry in entries}
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, (), (), organizations)
            for entry in entries:
                row = self._row(entry, place.epoch)
                if row is not None:
                    rows.append(row)
                parent = entry.headers.get(TRACEPARENT)
                if parent is not None and len(links) < LINKS_MAX:
                    links.append(parent)
            await self._partitions.ensure(connection, {("activity", row[0].date()) for row in rows})
        return Ready(rows, links)

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error(
            "an activity event cannot be stored", subject=entry.subject, sequence=entry.sequence, why=why
        )
        return Ready([], [])  # written by ourselves: a defect, which the log names; it stays in the stream

    def _row(self, entry: Entry, epoch: int) -> tuple[Any, ...] | None:
        try:
            recorded = upcasts.decode(
                entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
            )
        except Unprocessable as failure:
            _log.error("an activity event is unreadable", error=str(failure))
            return None
        if recorded is None or not isinstance(recorded.event, ActivityRecorded):
            return None  # of a newer service
        event = recorded.event
        return (
            recorded.time,
            entry.sequence,
            self._dictionaries.organizations[entry.subject.split(".")[1]].id,
            epoch,
            recorded.id,
            event.kind,
            event.status,
            event.summary,
            recorded.actor,
            event.subject,
            event.device_id,
            event.reason,
            event.duration_ms,
            json.dumps(event.details),
        )

    async def write(self, connection: Session, ready: Ready) -> int:
        await connection.copy_records_to_table("activity", records=ready.rows, columns=COLUMNS)
        return len(ready.rows)

    def committed(self, ready: Ready) -> None:
        del ready

    def links(self, ready: Ready) -> list[str]:
        return ready.links

    def forget(self) -> None:
        self._dictionaries.forget()
        self._partitions.forget()
