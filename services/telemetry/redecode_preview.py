"""What a redecode would change: decoded and compared with what is stored; nothing is written."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
from nats.aio.client import Client

from contracts.decoders.choice import Choice
from contracts.failures import Refused, Unavailable
from contracts.redecode import (
    PREVIEW_MESSAGES_MAX,
    SHOWN_MAX,
    PreviewRedecode,
    ReadingDiff,
    ReadingThen,
    RedecodeOrdered,
    RedecodePreview,
)
from contracts.streams import MESSAGES
from runtime import jetstream
from runtime.pull import Entry, Pull
from services.telemetry import checkpoints, parting
from services.telemetry.database import AWAY
from services.telemetry.decoding import Batch, Read
from services.telemetry.directory import Directory
from services.telemetry.messages import MessagesProjection
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint
from services.telemetry.redecode import filters
from services.telemetry.redecode_diff import (
    Difference,
    Key,
    Readings,
    Then,
    compare,
    decoded_readings,
    stored_readings,
)
from services.telemetry.redecode_orders import Order, new_order
from services.telemetry.rereading import NoDeadLetters

LOOKING_S = 5.0  # callers wait 10 s; what was seen by then is told
AT_ONCE = 2

_STORED = """
SELECT s.sequence, s.position, s.device, s.time, s.metrics, s.numbers, s.others, s.units FROM samples s
    JOIN organizations o ON o.id = s.organization
WHERE o.name = $1 AND s.epoch = $2 AND s.sequence BETWEEN $3 AND $4 AND s.sequence = ANY($5)
ORDER BY s.sequence, s.position
"""
_FAILED = """
SELECT m.sequence FROM unnest($2::bigint[], $3::timestamptz[]) AS w (sequence, at)
    JOIN organizations o ON o.name = $1
    JOIN messages m ON m.organization = o.id AND m.received_at = w.at AND m.sequence = w.sequence
WHERE m.failure IS NOT NULL
"""
_NAMES = "SELECT id, name FROM {table} WHERE id = ANY($1)"


class Trial(Directory):
    """The directory as it would be with this order."""

    def __init__(self, directory: Directory, order: Order) -> None:
        self._directory, self._order = directory, order
        self.erased = directory.erased

    def choose(self, organization: str, source: str, at_ns: int) -> Choice:
        held = self._directory.choose(organization, source, at_ns)
        choice = self._order.choice
        return choice._replace(prefix=held.prefix, payload_bytes_max=held.payload_bytes_max)

    async def ahead(
        self, entries: Sequence[Entry], choose: Any = None, *, patient: bool = False
    ) -> dict[int, Read]:
        del choose, patient  # a caller waits
        return await self._directory.ahead(entries, self.choose)

    @property
    def has_stateful(self) -> bool:
        return self._order.choice.stateful is not None

    async def know(self, sources: set[tuple[str, str]]) -> None:
        await self._directory.know(sources)


class Preview:
    def __init__(self, client: Client, pool: asyncpg.Pool, directory: Directory) -> None:
        self._client, self._pool, self._directory = client, pool, directory
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def preview(self, request: PreviewRedecode) -> RedecodePreview:
        """Raises Refused for a range or a decoder that cannot be; Unavailable("store.unavailable")."""
        now = datetime.now(UTC)
        end = now if request.end is None else min(now, request.end)
        if request.start >= end:
            raise Refused("request.invalid", "it must lie before `to`, and before now", field="from")
        event = RedecodeOrdered(
            integration=request.integration, start=request.start, end=end, decoder=request.decoder
        )
        order = new_order("preview", request.organization, event, now)
        async with self._turns:
            try:
                return await self._look(order)
            except AWAY as error:
                raise Unavailable("store.unavailable", "the database does not answer; try again") from error

    async def _look(self, order: Order) -> RedecodePreview:
        state = await jetstream.stream_state(self._client, MESSAGES.name)
        oldest = await parting.following(self._client, MESSAGES.name, state.first, ">")
        first = await parting.first_since(self._client, MESSAGES.name, order.start_ns, state)
        last = await parting.first_since(self._client, MESSAGES.name, order.end_ns, state) - 1
        async with self._pool.acquire() as connection:
            held = await checkpoints.read(connection, "messages")
            segments = await checkpoints.lineage(connection, MESSAGES.name, 1)
        if held is None:
            raise Unavailable("store.unavailable", "nothing is stored yet")
        last = min(last, held.sequence)
        entries, complete = await self._read(order, first, last)
        batches: list[Batch] = []
        before: Readings = {}
        failed_before: set[int] = set()
        for segment in segments:
            part = [
                entry
                for entry in entries
                if segment.first <= entry.sequence
                and (segment.last is None or entry.sequence <= segment.last)
            ]
            if not part:
                continue
            projection = MessagesProjection(Trial(self._directory, order), NoDeadLetters(), Partitions())
            place = Checkpoint(segment.epoch, segment.created, part[0].sequence - 1)
            batch = await projection.decode(self._pool, part, place)
            batches.append(batch)
            before |= await self._stored(order.organization, segment.epoch, part)
            failed_before |= await self._failed(order.organization, batch)
        after = decoded_readings((row, row.device, row.metrics) for batch in batches for row in batch.samples)
        found = compare(before, after)
        reasons = Counter(row.failure for batch in batches for row in batch.messages if row.failure)
        failed_now = {row.sequence for batch in batches for row in batch.messages if row.failure}
        topics = {row.sequence: row.topic for batch in batches for row in batch.messages}
        return RedecodePreview(
            messages=len(entries),
            complete=complete,
            looked_until=parting.moment(entries[-1].time_ns) if entries else None,
            log_from=None if oldest is None else parting.moment(oldest.time_ns),
            added=len(found.added),
            removed=len(found.removed),
            changed=len(found.changed),
            unchanged=found.unchanged,
            failed=len(failed_now - failed_before),
            resolved=len(failed_before - failed_now),
            failures=dict(reasons),
            **_shown(found, before, after, topics),
        )

    async def _read(self, order: Order, first: int, last: int) -> tuple[list[Entry], bool]:
        """Messages of the range, and whether these are all."""
        deadline = time.monotonic() + LOOKING_S
        pull = Pull(
            self._client,
            MESSAGES.name,
            start=first,
            filters=filters(order),
            messages_max=PREVIEW_MESSAGES_MAX,
            name="telemetry-preview",
        )
        found: list[Entry] = []
        try:
            while len(found) < PREVIEW_MESSAGES_MAX and time.monotonic() < deadline:
                entries = await pull.next_batch(PREVIEW_MESSAGES_MAX - len(found), timeout_s=0.5)
                found += [
                    entry
                    for entry in entries
                    if entry.sequence <= last and order.start_ns <= entry.time_ns < order.end_ns
                ]
                if not entries or entries[-1].pending == 0 or entries[-1].sequence >= last:
                    return found, True
        finally:
            await pull.close()
        return found, False

    async def _stored(self, organization: str, epoch: int, entries: Sequence[Entry]) -> Readings:
        """By names."""
        sequences = [entry.sequence for entry in entries]
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                _STORED, organization, epoch, sequences[0], sequences[-1], sequences
            )
            by_number = stored_readings(rows)
            names = {}
            for table, at in (("devices", 1), ("metrics", 2)):
                ids = sorted({key[at] for key in by_number})  # type: ignore[type-var]
                found = await connection.fetch(_NAMES.format(table=table), ids)
                names[table] = {row["id"]: row["name"] for row in found}
        return {
            key._replace(device=names["devices"][key.device], metric=names["metrics"][key.metric]): then
            for key, then in by_number.items()
        }

    async def _failed(self, organization: str, batch: Batch) -> set[int]:
        columns = [row.sequence for row in batch.messages], [row.received for row in batch.messages]
        async with self._pool.acquire() as connection:
            return {row["sequence"] for row in await connection.fetch(_FAILED, organization, *columns)}


def _shown(
    found: Difference, before: Readings, after: Readings, topics: dict[int, str]
) -> dict[str, list[ReadingDiff]]:
    def show(keys: list[Key]) -> list[ReadingDiff]:
        return [
            ReadingDiff(
                device_id=str(key.device),
                metric=str(key.metric),
                sequence=key.sequence,
                topic=topics.get(key.sequence, ""),
                before=_then(before.get(key)),
                after=_then(after.get(key)),
            )
            for key in keys[:SHOWN_MAX]
        ]

    return {
        "samples_added": show(found.added),
        "samples_removed": show(found.removed),
        "samples_changed": show(found.changed),
    }


def _then(then: Then | None) -> ReadingThen | None:
    return None if then is None else ReadingThen(value=then.value, unit=then.unit, timestamp=then.time)
