"""The projection of MESSAGES: raw messages, samples, devices; what cannot be read is a dead letter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg

from contracts import subjects
from contracts.decoders.model import Stateful
from contracts.failures import Unprocessable
from contracts.messages import stored
from contracts.streams import MESSAGES
from runtime.observe import span
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.decoding import Batch, SampleRow, is_hosted, project, stored_message, unstorable
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.erased import leave_out
from services.telemetry.followers import Follower, Followers
from services.telemetry.parting import Found
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint
from services.telemetry.retained import new_ones
from services.telemetry.states import Sender, States, sender_of
from services.telemetry.writing import DaysOfMetrics, Rows

_KNOWN = (
    "SELECT EXISTS (SELECT FROM messages m JOIN organizations o ON o.id = m.organization"
    " WHERE o.name = $1 AND m.received_at = ANY($2::timestamptz[]) AND m.sequence = $3)"
)
SLICE = 200  # messages decoded at a time: 2 ms, and then others have their turn


class Ready:
    """A batch, decoded, with its rows."""

    __slots__ = ("batch", "followed", "rows")

    def __init__(self, batch: Batch, rows: Rows) -> None:
        self.batch, self.rows = batch, rows
        self.followed: list[Any] = []  # what each follower has prepared


class MessagesProjection:
    name = "messages"
    stream = MESSAGES.name
    subjects = subjects.MESSAGES_ALL

    def __init__(
        self,
        directory: Directory,
        dead_letters: DeadLetters,
        partitions: Partitions,
        dictionaries: Dictionaries | None = None,
        *,
        again: bool = False,
        followers: Sequence[Follower[Ready]] = (),
    ) -> None:
        """`again`: history, which nobody waits behind."""
        self._directory = directory
        self._dead_letters = dead_letters
        self._partitions = partitions
        self._dictionaries = dictionaries or Dictionaries()
        self._again = again
        self._followers = Followers(*followers)
        self._days = DaysOfMetrics()
        self._states = States()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        return await self._ready(pool, await self.decode(pool, entries, place), place)

    async def decode(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Batch:
        """What these entries say; nothing is written."""
        entries = [entry for entry in entries if subjects.is_message(entry.subject)]
        await self._directory.know({_source(entry) for entry in entries if not is_hosted(entry.subject)})
        ahead = await self._directory.ahead(entries, patient=self._again)
        if self._directory.has_stateful:
            await self._load_states(pool, entries, place)
        batch = Batch()
        for start in range(0, len(entries), SLICE):
            part = entries[start : start + SLICE]
            project(part, self._directory.choose, batch, ahead, self._states)
            await asyncio.sleep(0)
        batch.erased = leave_out(batch, entries, self._directory.erased)
        return batch

    async def _load_states(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> None:
        wanted: dict[Sender, Stateful] = {}
        for entry in entries:
            with suppress(KeyError, ValueError, Unprocessable):  # its dead letter comes of itself
                choice = self._directory.choose(*_source(entry), entry.time_ns)
                if choice.stateful is None:
                    continue
                message = stored_message(entry)
                sender = sender_of(choice, message.organization, message.source, message.topic)
                if sender is not None:
                    wanted[sender] = choice.stateful
        if wanted:
            await self._states.load(pool, wanted.items(), place, entries[0].sequence)

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        batch = Batch()
        unstorable(entry, why, batch)
        return await self._ready(pool, batch, place)

    async def _ready(self, pool: asyncpg.Pool, batch: Batch, place: Checkpoint) -> Ready:
        if batch.erased:  # who asks for their numbers finds them, also where nothing is left
            async with pool.acquire() as connection:
                await self._dictionaries.learn(connection, (), (), batch.erased)
        try:
            rows = self._rows(batch, place)
        except KeyError:  # a name that is new to us: rare
            async with pool.acquire() as connection:
                await self._learn(connection, batch)
            rows = self._rows(batch, place)
        if not self._partitions.known(rows.days):
            async with pool.acquire() as connection:
                await self._partitions.ensure(connection, rows.days)
        await self._dead_letters.write(batch.failed, place.created)
        ready = Ready(batch, rows)
        ready.followed = await self._followers.prepare(pool, ready, place)
        return ready

    def _rows(self, batch: Batch, place: Checkpoint) -> Rows:
        return Rows(batch, self._dictionaries, self._days, place.epoch)

    async def _learn(self, connection: Session, batch: Batch) -> None:
        devices = {(row.organization, row.device) for row in batch.messages if row.device is not None}
        devices.update(batch.heard, ((o, presence.device_id) for o, _, presence in batch.presences))
        devices.update((row.organization, row.device) for row in batch.samples)
        shapes = {(row.organization, row.metrics) for row in batch.samples}
        await self._dictionaries.learn(
            connection, devices, shapes, {row.organization for row in batch.messages}
        )
        await self._dictionaries.learn_decoders(connection, {row.origin for row in batch.samples})

    async def write(self, connection: Session, ready: Ready) -> int:
        rows = ready.rows
        kept = await new_ones(connection, ready.batch.samples)
        if kept is not None:
            rows.samples = [rows.samples[at] for at in kept]
        with span("COPY samples", rows=len(rows.samples)):
            await rows.copy(connection, "samples")
        with span("COPY messages", rows=len(rows.messages)):
            await rows.copy(connection, "messages")
        with span("UPDATE devices", rows=len(rows.seen)):
            await rows.update(connection)
        await self._states.store(connection, ready.batch.learnt, rows.epoch)
        await self._followers.write(connection, ready.followed)
        return len(rows.samples) + len(rows.messages)

    def committed(self, ready: Ready) -> None:
        if self._directory.has_stateful and ready.batch.messages:
            self._states.committed(ready.batch.messages[-1].sequence, ready.batch.learnt)
        self._followers.committed(ready.followed)
        self._days.stored.update(ready.rows.new_days)
        if len(self._days.stored) > DaysOfMetrics.REMEMBERED_MAX:
            self._days.forget()

    def links(self, ready: Ready) -> list[str]:
        return ready.batch.links

    async def known(self, connection: Session, found: Found) -> bool | None:
        received = [
            datetime.fromtimestamp(found.time_ns // 1_000_000_000, UTC).replace(
                microsecond=found.time_ns // 1000 % 1_000_000
            )
        ]
        with suppress(KeyError, ValueError):  # what is not ours stands under the time of its storing
            received.append(stored(found.subject, found.headers, b"", received[0]).received)
        organization = found.subject.split(".")[2]
        if await connection.fetchval(_KNOWN, organization, received, found.sequence):
            return True
        return None if self._directory.erased.concerns(organization, found.time_ns) else False

    def number_of(self, organization: str) -> int:
        """Of an organization of the batch that was prepared last; so are those below."""
        return self._dictionaries.organizations[organization].id

    def device_number(self, organization: str, device: str | None) -> int | None:
        return None if device is None else self._dictionaries.organizations[organization].devices[device]

    def numbers_of(self, row: SampleRow) -> tuple[int, list[int]]:
        """Of the device and the metrics of a sample."""
        held = self._dictionaries.organizations[row.organization]
        return held.devices[row.device], held.shapes[row.metrics].ids

    def forget(self) -> None:
        self._dictionaries.forget()
        self._days.forget()
        self._partitions.forget()
        self._states.forget()
        self._followers.forget()


def _source(entry: Entry) -> tuple[str, str]:
    _, _, organization, source, *_ = entry.subject.split(".", 4)
    return organization, source
