"""One batch of a job: the readings of these very messages replaced, in one transaction with the job's place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
from uuid_utils import uuid7

from contracts import envelope, subjects
from contracts.dead_letter_calls import IDS_MAX, DeadLettersResolved, letter_id
from contracts.envelope import Cause
from runtime.log_writer import MESSAGE_ID, LogWriter
from runtime.pull import Entry
from services.telemetry.checkpoints import Segment, Session
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.decoding import Failed, MessageRow
from services.telemetry.messages import MessagesProjection, Ready
from services.telemetry.place import Checkpoint
from services.telemetry.redecode_diff import compare, decoded_readings, stored_readings
from services.telemetry.redecode_orders import Order
from services.telemetry.retained import new_ones
from services.telemetry.rollups.marks import hour_of, mark_dirty

_ADVANCE = """
UPDATE redecodes SET sequence = $3, through_ns = $4, messages = messages + $5, added = added + $6,
    removed = removed + $7, changed = changed + $8, failed = failed + $9, resolved = resolved + $10,
    working_s = working_s + $11
WHERE id = $1 AND sequence = $2 AND state = 'running'
"""
_CLAIM = "SELECT FROM redecodes WHERE id = $1 AND sequence = $2 AND state = 'running' FOR UPDATE"
_REPLACED = """
DELETE FROM samples WHERE organization = $1 AND epoch = $2 AND sequence BETWEEN $3 AND $4 AND sequence = ANY($5)
RETURNING sequence, position, device, time, metrics, numbers, others, units
"""
_HELD = """
SELECT m.sequence, m.received_at, m.device, m.failure FROM unnest($3::bigint[], $4::timestamptz[]) AS w (sequence, at)
    JOIN messages m ON m.organization = $1 AND m.epoch = $2 AND m.received_at = w.at AND m.sequence = w.sequence
"""
_SET = """
UPDATE messages m SET device = w.device, failure = w.failure
FROM unnest($3::bigint[], $4::timestamptz[], $5::int[], $6::text[]) AS w (sequence, at, device, failure)
WHERE m.organization = $1 AND m.epoch = $2 AND m.received_at = w.at AND m.sequence = w.sequence
"""
_FEWER = (
    "UPDATE devices d SET messages = greatest(0, d.messages - w.count)"
    " FROM unnest($1::int[], $2::bigint[]) AS w (id, count) WHERE d.id = w.id"
)
_DOUBT = (
    "INSERT INTO redecode_doubts (redecode, device, metric)"
    " SELECT $1, * FROM unnest($2::int[], $3::int[]) ON CONFLICT DO NOTHING"
)
MESSAGES = 0  # stands where a metric's number does: the device lost messages


class Outcomes:
    """What became of messages, in DEADLETTERS; written again, it is the same."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer, self._letters = writer, DeadLetters(writer)

    async def failed(self, failed: Sequence[Failed], created: str) -> None:
        await self._letters.write(failed, created)

    async def resolved(self, order: Order, messages: Sequence[MessageRow], created: str) -> None:
        """Raises Unavailable("log.unavailable")."""
        by_source: dict[str, list[str]] = {}
        for row in messages:
            by_source.setdefault(row.source, []).append(letter_id(created, row.sequence))
        written = []
        for source, ids in by_source.items():
            for start in range(0, len(ids), IDS_MAX):
                id = str(uuid7())
                event = DeadLettersResolved(ids=tuple(ids[start : start + IDS_MAX]))
                headers, data = envelope.encode(
                    event, id=id, time=datetime.now(UTC), cause=Cause(f"redecode:{order.id}", "telemetry")
                )
                headers[MESSAGE_ID] = id
                written.append(
                    self._writer.write(subjects.deadletter(order.organization, source), headers, data)
                )
        await asyncio.gather(*written)


class Moved(Exception):
    """The job is somebody else's, or was paused or cancelled meanwhile: nothing was changed."""


class Batch(NamedTuple):
    """Entries of one epoch, in order, and where the job stood before them."""

    order: Order
    segment: Segment
    entries: list[Entry]
    behind: int


async def replace(
    pool: asyncpg.Pool,
    projection: MessagesProjection,
    outcomes: Outcomes,
    batch: Batch,
    why: str | None = None,
) -> None:
    """Raises Moved. What fails now and did not before is a dead letter before its readings go.

    With `why`, the one entry is what the database refused as it was.
    """
    began, created = time.monotonic(), batch.segment.created
    place = Checkpoint(batch.segment.epoch, created, batch.entries[0].sequence - 1)
    if why is None:
        ready = await projection.prepare(pool, batch.entries, place)
    else:
        ready = await projection.prepare_unstorable(pool, batch.entries[0], place, why)
    organization = projection.number_of(batch.order.organization)
    where = [row.sequence for row in ready.batch.messages], [row.received for row in ready.batch.messages]
    async with pool.acquire() as connection:
        held = {
            row["sequence"]: row
            for row in await connection.fetch(_HELD, organization, batch.segment.epoch, *where)
        }
    resolved = [row for row in ready.batch.messages if row.failure is None and _failed(held, row.sequence)]
    anew = [each for each in ready.batch.failed if not _failed(held, each.row.sequence)]
    await outcomes.failed(anew, created)
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchrow(_CLAIM, batch.order.id, batch.behind) is None:
            raise Moved
        counts = await _readings(connection, projection, batch, organization, ready)
        await _messages(connection, projection, batch, organization, ready, held)
        await outcomes.resolved(batch.order, resolved, created)
        last = batch.entries[-1]
        done = await connection.execute(
            _ADVANCE,
            batch.order.id,
            batch.behind,
            last.sequence,
            last.time_ns,
            len(batch.entries),
            *counts,
            len(anew),
            len(resolved),
            time.monotonic() - began,
        )
        if done != "UPDATE 1":
            raise Moved
    projection.committed(ready)


def _failed(held: dict[int, Any], sequence: int) -> bool:
    return sequence in held and held[sequence]["failure"] is not None


async def _readings(
    connection: Session, projection: MessagesProjection, batch: Batch, organization: int, ready: Ready
) -> tuple[int, int, int]:
    """How many were added, removed, changed."""
    sequences = [entry.sequence for entry in batch.entries]
    gone = await connection.fetch(
        _REPLACED, organization, batch.segment.epoch, sequences[0], sequences[-1], sequences
    )
    kept = await new_ones(connection, ready.batch.samples)
    samples = ready.batch.samples
    if kept is not None:
        ready.rows.samples = [ready.rows.samples[at] for at in kept]
        samples = [samples[at] for at in kept]
    await ready.rows.copy(connection, "samples")
    await mark_dirty(connection, ready.rows.hours)
    await mark_dirty(connection, {(row["device"], hour_of(row["time"]), organization) for row in gone})
    before = stored_readings(sorted(gone, key=lambda row: (row["sequence"], row["position"])))
    after = decoded_readings((row, *projection.numbers_of(row)) for row in samples)
    found = compare(before, after)
    lost: set[Any] = {(key.device, key.metric) for key in found.removed}
    lost |= {(key.device, key.metric) for key in found.changed if before[key].time != after[key].time}
    await _doubt(connection, batch.order.id, lost)
    return len(found.added), len(found.removed), len(found.changed)


async def _messages(
    connection: Session,
    projection: MessagesProjection,
    batch: Batch,
    organization: int,
    ready: Ready,
    held: dict[int, Any],
) -> None:
    """Device and failure of each message; what is counted of devices follows."""
    changed: list[tuple[int, Any, int | None, str | None]] = []
    fewer: dict[int, int] = {}
    for seen in ready.rows.seen.values():
        seen.count = 0
    for row in ready.batch.messages:
        before = held.get(row.sequence)
        if before is None:
            continue  # its time is over
        device = projection.device_number(row.organization, row.device)
        if (device, row.failure) == (before["device"], before["failure"]):
            continue
        changed.append((row.sequence, row.received, device, row.failure))
        if device != before["device"]:
            if device is not None:
                ready.rows.seen[device].count += 1
            if before["device"] is not None:
                fewer[before["device"]] = fewer.get(before["device"], 0) + 1
    if changed:
        columns = [list(column) for column in zip(*changed, strict=True)]
        await connection.execute(_SET, organization, batch.segment.epoch, *columns)
    if fewer:
        ids = sorted(fewer)
        await connection.execute(_FEWER, ids, [fewer[id] for id in ids])
        await _doubt(connection, batch.order.id, {(id, MESSAGES) for id in ids})
    # Whoever keeps a message was seen by it before; who is in one that names another device may be new.
    heard = {projection.device_number(name, device) for name, device in ready.batch.heard}
    ready.rows.seen = {id: seen for id, seen in ready.rows.seen.items() if seen.count or id in heard}
    await ready.rows.update(connection)


async def _doubt(connection: Session, id: str, lost: set[Any]) -> None:
    if lost:
        ordered: Sequence[tuple[int, int]] = sorted(lost)
        await connection.execute(_DOUBT, id, [device for device, _ in ordered], [m for _, m in ordered])
