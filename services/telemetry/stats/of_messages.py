"""Messages, bytes, readings and dead letters, counted as they are stored: follows the messages' projection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg

from services.telemetry.decoding import Batch
from services.telemetry.messages import Ready
from services.telemetry.place import Checkpoint
from services.telemetry.stats.counting import (
    ALL,
    DEVICE,
    INTEGRATION,
    ORGANIZATION,
    Cells,
    Counts,
    add,
    with_hours,
)

COUNTERS = ("messages", "bytes", "readings", "dead_letters")
_MINUTE = timedelta(minutes=1)
_BEFORE = datetime.min.replace(tzinfo=UTC)
_MESSAGES, _BYTES, _READINGS, _DEAD = range(4)


def counted(batch: Batch, number_of: Callable[[str], int]) -> tuple[Cells, Cells]:
    """By minute, and by hour. A message counts when it was received, whatever time its readings have."""
    sums: dict[tuple[datetime, str, str, str | None], list[int]] = {}
    keys: dict[int, tuple[datetime, str, str, str | None]] = {}  # by the message's sequence
    minute = after = _BEFORE
    for received, sequence, organization, device, _, _, source, _, payload, failure in batch.messages:
        if not minute <= received < after:  # they come in runs
            minute = received.replace(second=0, microsecond=0)
            after = minute + _MINUTE
        key = (minute, organization, source, device)
        keys[sequence] = key
        cell = sums.get(key)
        if cell is None:
            cell = sums[key] = [0, 0, 0, 0]
        cell[_MESSAGES] += 1
        cell[_BYTES] += len(payload)
        if failure is not None:
            cell[_DEAD] += 1
    for row in batch.samples:
        key = keys[row.sequence]
        if row.device != key[3]:  # in a message of another, as of a hub
            key = (*key[:3], row.device)
        cell = sums.get(key)
        if cell is None:
            cell = sums[key] = [0, 0, 0, 0]
        cell[_READINGS] += len(row.metrics)
    return _by_scope(sums, number_of)


def _by_scope(
    sums: dict[tuple[datetime, str, str, str | None], list[int]], number_of: Callable[[str], int]
) -> tuple[Cells, Cells]:
    sources: Cells = {}
    hours: Cells = {}
    minute = hour = _BEFORE
    for (at, name, source, device), counts in sums.items():
        if at is not minute:  # they come in runs
            minute, hour = at, at.replace(minute=0)
        organization = number_of(name)
        add(sources, (organization, INTEGRATION, source, at), counts)
        if device is not None:
            add(hours, (organization, DEVICE, device, hour), counts)
    minutes = dict(sources)
    for (organization, _, _, at), counts in sources.items():
        add(minutes, (organization, ORGANIZATION, ALL, at), counts)
    return with_hours(minutes, hours)


class MessageCounts(Counts):
    def __init__(self) -> None:
        super().__init__("message_minutes", "message_hours", COUNTERS)

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> tuple[Cells, Cells]:
        del place
        held = ready.rows.organizations
        return await self.ready(pool, *counted(ready.batch, lambda name: held[name].id))
