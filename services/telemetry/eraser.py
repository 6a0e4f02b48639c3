"""Jobs that erase what forgotten devices sent: piece by piece, beside the projections that serve.

An erasure is an event; its job is a row. After a crash of anything the next one who looks begins it again, which
costs little: what is gone is not looked at any more. One replica works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import asyncpg
from nats.aio.client import Client

from contracts.failures import Failure
from contracts.streams import COMMANDS, DEADLETTERS, MESSAGES
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from services.telemetry import checkpoints, erasing, parting
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.erasing import Target
from services.telemetry.place import Checkpoint

_log = log(part="eraser")
LOCK = 0x68796D66  # any number, the same for every replica
LOOK_S = 1.0
# Who decodes history anew in another process may not have heard yet: what it wrote meanwhile goes at the end.
SETTLE_S = 2.0
PATIENCE_S = 5.0  # with a projection that lags; then the next job has its turn

Also = Callable[[Session, Target, datetime], Awaitable[None]]
"""Deletes what else is kept of a device, or makes it anew from what is left; in the last transaction."""

_OPEN = (
    "SELECT id, organization, device, forgotten_at, forgotten_ns FROM erasures"
    " WHERE finished_at IS NULL ORDER BY forgotten_at, id"
)
_NUMBERS = (
    "SELECT o.id AS organization, d.id AS device FROM organizations o JOIN devices d ON d.organization = o.id"
    " WHERE o.name = $1 AND d.name = $2"
)
_BEGIN = "UPDATE erasures SET state = 'running', began_at = coalesce(began_at, now()) WHERE id = $1 RETURNING now()"
_STEP = "UPDATE erasures SET step = $2 WHERE id = $1"
_COUNT = (
    "UPDATE erasures SET readings = readings + $2, messages = messages + $3, dead_letters = dead_letters + $4,"
    " commands = commands + $5 WHERE id = $1"
)
_SETTLED = "SELECT now() - forgotten_at > make_interval(secs => $2) FROM erasures WHERE id = $1"
# A rebuild may have taken rows over that went meanwhile: then all is looked at again, behind its end.
_REBUILT = "SELECT EXISTS (SELECT FROM rebuilds WHERE finished_at IS NULL OR finished_at > $1)"
_END = "UPDATE erasures SET state = 'done', step = NULL, finished_at = now() WHERE id = $1"
_PROJECTIONS = ("activity", "commands", "dead-letters", "messages")
_WAIT = "SELECT FROM checkpoints WHERE projection = ANY($1) ORDER BY projection FOR UPDATE"
_TURN = "UPDATE checkpoints SET turn = turn + 1 WHERE projection = ANY($1)"


class Eraser:
    """`run()` is its task; `wake` tells it that there is an order."""

    def __init__(self, client: Client, pool: asyncpg.Pool, also: Sequence[Also] = ()) -> None:
        self._client, self._pool, self._also = client, pool, also
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        while True:
            self.wake.clear()
            try:
                async with self._pool.acquire() as holder:
                    if await holder.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                        try:
                            for job in await holder.fetch(_OPEN):
                                await self._erase(job)
                        finally:
                            with suppress(*AWAY):
                                await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
            except (*AWAY, Failure, ApiError) as error:
                _log.warning("erasing waits", error=repr(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.wake.wait()

    async def _erase(self, job: asyncpg.Record) -> None:
        """As far as it goes now: what has to be waited for is done at the next look."""
        id, before = job["id"], job["forgotten_at"]
        began = await self._fetchval(_BEGIN, id)
        held = await self._place(id, job["forgotten_ns"])
        if held is None:
            return
        target = await self._target(job, held)
        async with self._pool.acquire() as connection, connection.transaction():
            await erasing.forget_rollups(connection, target, before)
        for table in ("samples", "messages"):
            await self._fetchval(_STEP, id, "readings" if table == "samples" else table)
            after, done = None, False
            while not done:
                async with self._pool.acquire() as connection, connection.transaction():
                    after, rows, letters = await erasing.delete_rows(connection, table, target, after)
                    counts = (rows, 0) if table == "samples" else (0, rows)
                    await connection.execute(_COUNT, id, *counts, letters, 0)
                done = after is None
        async with self._pool.acquire() as connection, connection.transaction():
            letters = await erasing.delete_letters(connection, target, before)
            commands = await erasing.delete_commands(connection, target, before)
            await connection.execute(_COUNT, id, 0, 0, letters, commands)
        if not await self._fetchval(_SETTLED, id, SETTLE_S) or await self._fetchval(_REBUILT, began):
            await self._fetchval(_STEP, id, "settling")
            return
        await self._finish(id, target, before, began)

    async def _finish(self, id: str, target: Target, before: datetime, began: datetime) -> None:
        """With the projections waiting: what came since is counted, and they forget what they remember."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_WAIT, list(_PROJECTIONS))
            for table in ("samples", "messages"):
                after, _, _ = await erasing.delete_rows(connection, table, target, None)
                while after is not None:
                    after, _, _ = await erasing.delete_rows(connection, table, target, after)
            await erasing.count_anew(connection, target, before)
            for also in self._also:
                await also(connection, target, before)
            await connection.execute(_TURN, list(_PROJECTIONS))
            if await connection.fetchval(_REBUILT, began):
                return  # what is counted anew harms nobody
            await connection.execute(_END, id)
        _log.info("a device is forgotten", id=id)

    async def _place(self, id: str, forgotten_ns: int) -> tuple[Checkpoint, int] | None:
        """The messages' epoch, and the last sequence in it that is erased; None while one before it is not stored."""
        await self._fetchval(_STEP, id, "waiting")
        last = await self._passed("messages", MESSAGES.name, forgotten_ns)
        if last is None or await self._passed("commands", COMMANDS.name, forgotten_ns) is None:
            return None
        # A dead letter is written before its message is stored.
        if await self._passed("dead-letters", DEADLETTERS.name, None) is None:
            return None
        return last

    async def _passed(
        self, projection: str, stream: str, before_ns: int | None
    ) -> tuple[Checkpoint, int] | None:
        """What was stored before this time (None: by now), once the projection has passed it."""
        state = await jetstream.stream_state(self._client, stream)
        last = state.last
        if before_ns is not None:
            last = await parting.first_since(self._client, stream, before_ns, state) - 1
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            async with self._pool.acquire() as connection:
                held = await checkpoints.read(connection, projection)
            if held is not None and held.created == state.created and held.sequence >= last:
                return held, last
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(0.05)

    async def _target(self, job: asyncpg.Record, held: tuple[Checkpoint, int]) -> Target:
        async with self._pool.acquire() as connection:
            numbers = await connection.fetchrow(_NUMBERS, job["organization"], job["device"])
        assert numbers is not None, "whoever made the job's row made these"
        checkpoint, last = held
        return Target(
            numbers["organization"],
            numbers["device"],
            job["organization"],
            job["device"],
            checkpoint.epoch,
            last,
        )

    async def _fetchval(self, statement: str, *values: object) -> Any:
        async with self._pool.acquire() as connection:
            return await connection.fetchval(statement, *values)
