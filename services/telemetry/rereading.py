"""A projection once more, into the shadow: from its log's beginning to where the one that serves stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import asyncpg
from nats.aio.client import Client

from runtime import jetstream
from runtime.pull import Entry
from services.telemetry import checkpoints, parting
from services.telemetry.checkpoints import Segment, Session
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.decoding import Failed
from services.telemetry.messages import Ready
from services.telemetry.place import Checkpoint, place
from services.telemetry.projector import Projection, Projector

BatchT = TypeVar("BatchT")
BATCH_MESSAGES_MAX = 5000  # devices are counted once a batch; live messages wait while one is made
PENDING_MAX = 4000  # of the projection that serves: above, it has the right of way
COURTESY_S = 1.0  # but a batch a second gets through: it ends
# From the last place that the shadow reached to this epoch's beginning, where the epoch before ended.
_NEXT = "UPDATE checkpoints SET epoch = $2, sequence = $3, time_ns = NULL WHERE projection = $1"
_BEGIN = (
    "INSERT INTO checkpoints (projection, partition, epoch, sequence) VALUES ($1, 0, $2, $3)"
    " ON CONFLICT DO NOTHING"
)
_COUNT = (
    "UPDATE public.rebuilds SET messages = messages + $2, points = points + $3, reading_s = reading_s + $4"
    " WHERE id = $1 AND finished_at IS NULL"
)


class LogMoved(Exception):
    """The log was restored, or let messages go, under the rebuild: it begins anew."""


class Cancelled(Exception):
    """Somebody does not want it any more."""


class NoDeadLetters(DeadLetters):
    """Their own log has them since the message was read first; the row says why it failed."""

    def __init__(self) -> None:
        pass

    async def write(self, failed: Sequence[Failed], stream_created: str) -> None:
        pass


class Rereader(Projector[BatchT]):
    """`read_to(sequence)`; each batch counts in the rebuild's own row, in the transaction of its rows."""

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        projection: Projection[BatchT],
        live: Projector[Any],
        rebuild: int,
        segments: Sequence[Segment],
    ) -> None:
        async def happened(*_: Any) -> None:
            raise LogMoved

        super().__init__(
            client,
            pool,
            projection,
            happened,
            batch_messages_max=BATCH_MESSAGES_MAX,
            name=f"rebuild-{projection.name}",
        )
        self._live, self._rebuild, self._segments = live, rebuild, segments
        self._since = time.monotonic()

    async def read_to(self, sequence: int) -> Checkpoint:
        """Raises LogMoved, Cancelled, and whatever keeps database or log from answering."""
        self._since = time.monotonic()
        at = await self._held()
        while True:
            segment = next(each for each in self._segments if each.epoch == at.epoch)
            goal = sequence if segment.last is None else min(segment.last, sequence)
            if at.sequence < goal:
                await self._read_on(at, goal)
                at = await self._held()
            following = [each for each in self._segments if each.epoch > at.epoch]
            if segment.last is None or at.sequence < segment.last or not following:
                return at
            async with self._pool.acquire() as connection:
                await connection.execute(
                    _NEXT, self._projection.name, following[0].epoch, following[0].first - 1
                )
            at = await self._held()

    async def _held(self) -> Checkpoint:
        first = self._segments[0]
        async with self._pool.acquire() as connection:
            await connection.execute(_BEGIN, self._projection.name, first.epoch, first.first - 1)
            held = await checkpoints.read(connection, self._projection.name)
        assert held is not None
        return held

    async def _look_for_gaps(self, at: Checkpoint, entries: list[Entry]) -> None:
        await super()._look_for_gaps(at, entries)
        waited = 0.0
        while self._live.pending > PENDING_MAX and waited < COURTESY_S:
            await asyncio.sleep(0.05)
            waited += 0.05

    async def _check_stream(self) -> None:
        """The older epochs were read from a stream of another making: what they share tells the messages."""
        state = await jetstream.stream_state(self._client, self._projection.stream)
        held = self._place
        assert held is not None
        found = (
            await parting.at(self._client, self._projection.stream, held.sequence) if held.sequence else None
        )
        now = place(
            held._replace(created=state.created),
            state.created,
            state.first,
            state.last,
            None if found is None else found.time_ns,
        )
        if now.change != "none" or now.trimmed:
            raise LogMoved

    async def _beside(self, connection: Session, batch: BatchT, entries: list[Entry]) -> None:
        now = time.monotonic()
        points = sum(len(row.metrics) for row in batch.batch.samples) if isinstance(batch, Ready) else 0
        done = await connection.execute(_COUNT, self._rebuild, len(entries), points, now - self._since)
        self._since = now
        if done != "UPDATE 1":
            raise Cancelled
