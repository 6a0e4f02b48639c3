"""Projections of logs in which each event is of one entity: one row an entity, as it stands.

The same event again changes nothing: an opening one finds its row there, the others their change made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg

from contracts import upcasts
from contracts.envelope import TRACEPARENT, Event, Recorded
from contracts.failures import Unprocessable
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.parting import Found
from services.telemetry.place import Checkpoint

_log = log(part="entities")
FORGET_ROWS = 5_000  # of one statement: it holds no lock for long


@dataclass(frozen=True)
class Entities:
    """What is stored of one kind of entity."""

    name: str
    stream: str
    subjects: str
    named: Callable[[str], tuple[str, str]]  # organization and id of the entity that a subject is of
    # In the order in which they happen to one entity, the opening one first: those of a batch are written kind by
    # kind. Each takes an array a column: organization, id, time, then `values`.
    statements: tuple[tuple[type[Event], str], ...]
    values: Callable[[Recorded], tuple[Any, ...]]
    device: Callable[[Event], str | None]  # with whose erasure it goes
    known: str  # whether the row of an organization's name, an id and an opening time is there
    forget: str  # deletes at most $2 rows whose time ended $1 days ago

    @property
    def opening(self) -> type[Event]:
        return self.statements[0][0]


class Told(NamedTuple):
    organization: str
    id: str
    recorded: Recorded


class Ready(NamedTuple):
    columns: list[tuple[str, list[list[Any]]]]  # statement and its arrays
    rows: int
    links: list[str]


class EntityProjection:
    """See `projector.Projection`."""

    def __init__(self, entities: Entities, directory: Directory) -> None:
        self.name, self.stream, self.subjects = entities.name, entities.stream, entities.subjects
        self._entities = entities
        self._directory = directory
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        del place
        await self._directory.complete.wait()
        found = [
            told
            for entry in entries
            if (told := self._read(entry)) is not None and not self._erased(told, entry.time_ns)
        ]
        links = [parent for entry in entries if (parent := entry.headers.get(TRACEPARENT)) is not None]
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, (), (), {told.organization for told in found})
        columns = []
        for kind, statement in self._entities.statements:
            rows = [self._row(told) for told in found if isinstance(told.recorded.event, kind)]
            if rows:
                columns.append((statement, [list(column) for column in zip(*rows, strict=True)]))
        return Ready(columns, len(found), links[:LINKS_MAX])

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error("an event cannot be stored", kind=self.name, sequence=entry.sequence, why=why)
        return Ready([], 0, [])  # written by ourselves: a defect, which the log names; it stays in the stream

    async def write(self, connection: Session, ready: Ready) -> int:
        for statement, columns in ready.columns:
            await connection.execute(statement, *columns)
        return ready.rows

    def committed(self, ready: Ready) -> None:
        del ready

    def links(self, ready: Ready) -> list[str]:
        return ready.links

    async def known(self, connection: Session, found: Found) -> bool | None:
        try:
            recorded = upcasts.decode(found.headers, found.data, subject=found.subject)
        except Unprocessable:
            return None
        if recorded is None or not isinstance(recorded.event, self._entities.opening):
            return None
        told = Told(*self._entities.named(found.subject), recorded)
        if self._erased(told, found.time_ns):
            return None
        return bool(
            await connection.fetchval(self._entities.known, told.organization, told.id, recorded.time)
        )

    def forget(self) -> None:
        self._dictionaries.forget()

    def _read(self, entry: Entry) -> Told | None:
        """None for what cannot be read, or is a newer service's."""
        try:
            recorded = upcasts.decode(
                entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
            )
        except Unprocessable as failure:
            _log.error("an event is unreadable", kind=self.name, error=str(failure))
            return None
        return None if recorded is None else Told(*self._entities.named(entry.subject), recorded)

    def _erased(self, told: Told, time_ns: int) -> bool:
        """Whether it is of a device that was forgotten since: what comes of it finds no row then."""
        device = self._entities.device(told.recorded.event)
        return self._directory.erased.has(told.organization, device, time_ns)

    def _row(self, told: Told) -> tuple[Any, ...]:
        organization = self._dictionaries.organizations[told.organization].id
        return (organization, told.id, told.recorded.time, *self._entities.values(told.recorded))


async def forget_old(pool: asyncpg.Pool, entities: Entities, days_kept: int, every_s: float) -> None:
    """For ever: rows go when their time is over."""
    while True:
        try:
            while await forget_once(pool, entities, days_kept) == FORGET_ROWS:
                pass
        except AWAY as error:
            _log.warning("what is old stays for now", kind=entities.name, error=repr(error))
        await asyncio.sleep(every_s)


async def forget_once(pool: asyncpg.Pool, entities: Entities, days_kept: int) -> int:
    """How many went."""
    async with pool.acquire() as connection:
        done: str = await connection.execute(entities.forget, days_kept, FORGET_ROWS)
    return int(done.split()[1])
