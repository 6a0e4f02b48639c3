"""The projection of ACTIVITY: one row an event; connections, their statistics and presence from some."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from contracts import subjects, upcasts
from contracts.activity import ActivityRecorded
from contracts.envelope import TRACEPARENT, Recorded
from contracts.failures import Unprocessable
from contracts.streams import ACTIVITY
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry import connections
from services.telemetry.checkpoints import Session
from services.telemetry.connections import Happening, credential_of, happening
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.followers import Follower, Followers
from services.telemetry.parting import Found
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint

_log = log(part="activity")
_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}")
_KNOWN = (
    "SELECT EXISTS (SELECT FROM activity a JOIN organizations o ON o.id = a.organization"
    " WHERE o.name = $1 AND a.time = $2 AND a.sequence = $3 AND a.id = $4)"
)
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
    "trace_id",
)


class Event(NamedTuple):
    """One of the log's, with the name of its organization and that organization's number."""

    sequence: int
    organization: str
    organization_id: int
    recorded: Recorded
    event: ActivityRecorded


class Ready:
    __slots__ = ("events", "followed", "happenings", "links", "rows")

    def __init__(
        self,
        events: list[Event],
        rows: list[tuple[Any, ...]],
        happenings: list[Happening],
        links: list[str],
    ) -> None:
        self.events, self.rows, self.happenings, self.links = events, rows, happenings, links
        self.followed: list[Any] = []  # what each follower has prepared


class ActivityProjection:
    name = "activity"
    stream = ACTIVITY.name
    subjects = subjects.ACTIVITY_ALL

    def __init__(
        self,
        partitions: Partitions,
        directory: Directory,
        dictionaries: Dictionaries | None = None,
        *,
        followers: Sequence[Follower[Ready]] = (),
    ) -> None:
        self._partitions, self._directory = partitions, directory
        self._dictionaries = dictionaries or Dictionaries()
        self._followers = Followers(*followers)

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        await self._directory.complete.wait()
        found = [read for entry in entries if (read := _read(entry)) is not None]
        links = [parent for entry in entries if (parent := entry.headers.get(TRACEPARENT)) is not None]
        devices = {
            (organization, event.device_id)
            for _, organization, _, event in found
            if event.device_id is not None and credential_of(event) is not None
        }
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, devices, (), {each[1] for each in found})
            rows = [self._row(*each, place.epoch) for each in found]
            await self._partitions.ensure(connection, {("activity", row[0].date()) for row in rows})
        happenings = [
            self._happening(recorded, organization, event, credential)
            for _, organization, recorded, event in found
            if (credential := credential_of(event)) is not None
        ]
        events = [
            Event(entry.sequence, name, self._dictionaries.organizations[name].id, recorded, event)
            for entry, name, recorded, event in found
        ]
        ready = Ready(events, rows, happenings, links[:LINKS_MAX])
        ready.followed = await self._followers.prepare(pool, ready, place)
        return ready

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        _log.error(
            "an activity event cannot be stored", subject=entry.subject, sequence=entry.sequence, why=why
        )
        # Written by ourselves: a defect, which the log names; it stays in the stream.
        ready = Ready([], [], [], [])
        ready.followed = await self._followers.prepare(pool, ready, place)
        return ready

    def _happening(
        self, recorded: Recorded, organization: str, event: ActivityRecorded, credential: str
    ) -> Happening:
        held = self._dictionaries.organizations[organization]
        device = None if event.device_id is None else held.devices[event.device_id]
        made = happening(recorded, event, credential, held.id, device)
        forgotten = self._directory.erased.since(organization, event.device_id)
        if forgotten is None or forgotten <= recorded.time:
            return made
        return made._replace(forgotten=forgotten)

    def _row(
        self, entry: Entry, organization: str, recorded: Recorded, event: ActivityRecorded, epoch: int
    ) -> tuple[Any, ...]:
        return (
            recorded.time,
            entry.sequence,
            self._dictionaries.organizations[organization].id,
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
            _trace_id(entry.headers.get(TRACEPARENT)),
        )

    async def write(self, connection: Session, ready: Ready) -> int:
        await connection.copy_records_to_table("activity", records=ready.rows, columns=COLUMNS)
        await connections.store(connection, ready.happenings)
        await self._followers.write(connection, ready.followed)
        return len(ready.rows)

    def committed(self, ready: Ready) -> None:
        self._followers.committed(ready.followed)

    def links(self, ready: Ready) -> list[str]:
        return ready.links

    async def known(self, connection: Session, found: Found) -> bool | None:
        try:
            recorded = upcasts.decode(
                found.headers, found.data, subject=found.subject, sequence=found.sequence
            )
        except Unprocessable:
            return None
        if recorded is None or not isinstance(recorded.event, ActivityRecorded):
            return None
        organization = found.subject.split(".")[1]
        return bool(
            await connection.fetchval(_KNOWN, organization, recorded.time, found.sequence, recorded.id)
        )

    def forget(self) -> None:
        self._dictionaries.forget()
        self._partitions.forget()
        self._followers.forget()


def _trace_id(traceparent: str | None) -> str | None:
    """W3C Trace Context §3.2.2.3: `version-trace_id-parent_id-flags`."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and _TRACE_ID.fullmatch(parts[1]) else None


def _read(entry: Entry) -> tuple[Entry, str, Recorded, ActivityRecorded] | None:
    """With its organization; None for what cannot be read, or is a newer service's."""
    try:
        recorded = upcasts.decode(entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence)
    except Unprocessable as failure:
        _log.error("an activity event is unreadable", error=str(failure))
        return None
    if recorded is None or not isinstance(recorded.event, ActivityRecorded):
        return None
    return entry, entry.subject.split(".")[1], recorded, recorded.event
