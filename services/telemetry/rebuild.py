"""The rebuild of all read models: shadow tables from the logs, beside those that serve, and their exchange.

Its state is in the database, with the rows: after a crash of anything the next one who looks goes on. At most
one, in one replica, which holds an advisory lock.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
from nats.aio.client import Client

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from services.telemetry import carrying, checkpoints, comparing, parting, shadow
from services.telemetry.checkpoints import Outdated, Overtaken, Segment, Session
from services.telemetry.database import AWAY
from services.telemetry.place import Checkpoint
from services.telemetry.projector import Projection, Projector, StreamChanged
from services.telemetry.rereading import Cancelled, LogMoved, Rereader
from services.telemetry.rollups import rebuilt
from services.telemetry.shadow import MODELS, PARTITIONED, SUMS, TABLES

_log = log(part="rebuild")
LOCK = 0x68796D72  # any number, the same for every replica
LOOK_S = 5.0  # another replica may have taken the order
CLOSE = 1000  # messages: so few are left while the projection that serves waits for the exchange
LOCK_MS = 500  # readers wait no longer for the exchange to begin: well below the second of a deadlock check
FAILURES_MAX = 20  # in a row, without progress
# What is let go of soon is carried over: the log must still hold the first message when it is read.
MARGIN_NS = 3600 * 1_000_000_000
COMPARED = (
    "device_metrics",
    "presence",
    "credential_statistics",
    "credential_refusals",
    "device_commands",
    "dead_letters",
    "alerts",
    "devices",
)

Make = Callable[[], Mapping[str, Projection[Any]]]
"""The projections of a run, by name; nothing that they remember outlives it."""
Reconcile = Callable[[asyncpg.Pool], Awaitable[None]]

_OPEN = "SELECT id, state, schema_version, messages FROM public.rebuilds WHERE finished_at IS NULL"
_STATE = "UPDATE public.rebuilds SET state = $2 WHERE id = $1 AND finished_at IS NULL"
_BEGIN = (
    "UPDATE public.rebuilds SET state = 'carrying', began_at = now(), schema_version = $2, messages = 0,"
    " points = 0, carried = 0, reading_s = 0, comparison = NULL, error = NULL WHERE id = $1 AND finished_at IS NULL"
)
_LEFT = "UPDATE public.rebuilds SET messages_left = $2 WHERE id = $1"
_COMPARED = "UPDATE public.rebuilds SET comparison = coalesce(comparison, '{}') || $2::jsonb WHERE id = $1"
_END = "UPDATE public.rebuilds SET state = $2, error = $3, finished_at = now() WHERE id = $1 AND finished_at IS NULL"
_SERVED = (
    "SELECT projection, epoch, sequence FROM public.checkpoints WHERE projection = ANY($1) AND partition = 0"
    " ORDER BY projection"
)
# The dictionary of devices stays where it is: only what is counted of them changes.
_COUNTERS = (
    "UPDATE public.devices d SET first_seen = s.first_seen, last_seen = s.last_seen, messages = s.messages"
    " FROM devices s WHERE s.id = d.id"
    " AND (d.first_seen, d.last_seen, d.messages) IS DISTINCT FROM (s.first_seen, s.last_seen, s.messages)"
)
_UNHEARD = (
    "UPDATE public.devices d SET first_seen = NULL, last_seen = NULL, messages = 0"
    " WHERE first_seen IS NOT NULL AND NOT EXISTS (SELECT FROM devices s WHERE s.id = d.id)"
)
# The log does not go back to their beginning: what it says can only widen the span.
_WIDEN = (
    "UPDATE public.devices d SET first_seen = least(d.first_seen, s.first_seen),"
    " last_seen = greatest(d.last_seen, s.last_seen) FROM devices s WHERE s.id = d.id AND s.first_seen IS NOT NULL"
)


class Job:
    """What a run works with; made anew after every trouble."""

    def __init__(
        self, id: int, segments: dict[str, list[Segment]], readers: dict[str, Rereader[Any]]
    ) -> None:
        self.id, self.segments, self.readers = id, segments, readers
        self.compared: Checkpoint | None = None  # up to where samples were

    def complete(self, name: str) -> bool:
        """Whether the log goes back to the beginning of what was ever read."""
        return [(each.first, each.last) for each in self.segments[name]] == [(1, None)]

    @property
    def exchanged(self) -> list[str]:
        return [model for model in MODELS if model not in SUMS or self.complete(SUMS[model])]


class Rebuilder:
    """`run()` is its task; `wake` tells it that there is an order. `live` are the projections that serve."""

    def __init__(
        self,
        client: Client,
        url: str,
        make: Make,
        live: Mapping[str, Projector[Any]],
        reconcile: Reconcile | None,
    ) -> None:
        self._client, self._url, self._make, self._live = client, url, make, live
        self._reconcile = reconcile
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        failures, before = 0, -1
        while True:
            pool = await shadow.connect(self._url)
            try:
                await self._work(pool)
                failures = 0
            except (*AWAY, Unavailable, ApiError, StreamChanged, Overtaken, Outdated) as error:
                done = await self._progress(pool)
                failures, before = (1, done) if done != before else (failures + 1, before)
                _log.warning("the rebuild waits", error=repr(error), failures=failures)
                if failures > FAILURES_MAX:
                    await self._fail(pool, repr(error))
                    failures = 0
            finally:
                pool.terminate()
            self.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if failures == 0 else min(failures, LOOK_S)):
                    await self.wake.wait()

    async def _work(self, pool: asyncpg.Pool) -> None:
        async with pool.acquire() as holder:
            if await holder.fetchrow(_OPEN) is None:
                return
            if not await holder.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                return  # another replica is at it
            try:
                while (order := await holder.fetchrow(_OPEN)) is not None:
                    try:
                        await self._rebuild(pool, holder, order)
                    except LogMoved:
                        _log.warning("the log changed under the rebuild: it begins anew")
                        await holder.execute(_STATE, order["id"], "ordered")
                    except Cancelled:
                        _log.info("the rebuild is cancelled", id=order["id"])
                await holder.execute("SELECT public.hybridmq_shadow_drop()")
            finally:
                with suppress(*AWAY):
                    await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)

    async def _rebuild(self, pool: asyncpg.Pool, holder: Session, order: asyncpg.Record) -> None:
        id, state = order["id"], order["state"]
        version = await holder.fetchval("SELECT version_num FROM public.alembic_version")
        if state == "ordered" or order["schema_version"] != version:
            await holder.execute("SELECT public.hybridmq_shadow_make($1)", list(MODELS))
            await self._note_beginning(holder)
            await holder.execute(_BEGIN, id, version)
            state = "carrying"
        job = await self._job(pool, holder, id)
        if state == "carrying":
            await self._carry(pool, holder, job)
            await holder.execute(_STATE, id, "reading")
        await self._catch_up(holder, job)
        await holder.execute("SELECT public.hybridmq_shadow_analyze($1)", list(MODELS))
        await self._compare(pool, holder, job)
        while True:
            await self._catch_up(holder, job)
            if self._reconcile is not None:
                await self._reconcile(pool)
            if await self._exchange(pool, job):
                return
            _log.info("readers are at work: the exchange is tried again", id=id)
            await asyncio.sleep(random.uniform(0.2, 1.0))

    async def _note_beginning(self, holder: Session) -> None:
        """Where the rebuild begins in each log, once for all: with what is not about to be let go."""
        for name, stream in self._streams.items():
            state = await jetstream.stream_state(self._client, stream)
            first = max(state.first, 1)
            if first > 1:
                oldest = await parting.following(self._client, stream, first, ">")
                if oldest is not None:
                    first = await parting.first_since(self._client, stream, oldest.time_ns + MARGIN_NS, state)
            await holder.execute("INSERT INTO carried (name) VALUES ($1)", f"from {name} {first}")

    @property
    def _streams(self) -> dict[str, str]:
        return {name: each.stream for name, each in self._live.items()}

    async def _job(self, pool: asyncpg.Pool, holder: Session, id: int) -> Job:
        segments: dict[str, list[Segment]] = {}
        for row in await holder.fetch("SELECT name FROM carried WHERE name LIKE 'from %'"):
            _, name, first = row["name"].split(" ")
            segments[name] = await checkpoints.lineage(holder, self._streams[name], int(first))
            if not segments[name]:
                raise Unavailable("store.unavailable", f"nothing of {self._streams[name]} is stored yet")
        readers: dict[str, Rereader[Any]] = {
            name: Rereader(self._client, pool, projection, self._live[name], id, segments[name])
            for name, projection in self._make().items()
        }
        return Job(id, segments, readers)

    async def _carry(self, pool: asyncpg.Pool, holder: Session, job: Job) -> None:
        await rebuilt.carry_metrics(holder)
        for name, stream in self._streams.items():
            if job.complete(name):
                continue
            first = await parting.following(self._client, stream, job.segments[name][0].first, ">")
            since = datetime.now(UTC) if first is None else parting.moment(first.time_ns)
            for table, column in TABLES[name].items():
                if table in PARTITIONED:
                    await carrying.carry_rows(pool, job.id, table, job.segments[name])
                else:
                    await carrying.carry_states(holder, table, column, since)

    async def _catch_up(self, holder: Session, job: Job) -> None:
        """Until little is left behind the projections that serve; they move on meanwhile."""
        while True:
            goals = {
                row["projection"]: row["sequence"] for row in await holder.fetch(_SERVED, list(job.readers))
            }
            held = {name: await reader.read_to(0) for name, reader in job.readers.items()}
            left = sum(max(0, goals[name] - held[name].sequence) for name in goals)
            await holder.execute(_LEFT, job.id, left)
            if left <= CLOSE:
                return
            watching = asyncio.create_task(self._watch(holder, job, goals))
            try:
                for name, reader in job.readers.items():
                    await reader.read_to(goals[name])
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, holder: Session, job: Job, goals: dict[str, int]) -> None:
        """How much is left, for whoever asks."""
        while True:
            await asyncio.sleep(1.0)
            left = sum(max(0, goals[name] - reader.sequence) for name, reader in job.readers.items())
            await holder.execute(_LEFT, job.id, left)

    async def _compare(self, pool: asyncpg.Pool, holder: Session, job: Job) -> None:
        """The large tables: their rows stay as they were written."""
        await holder.execute(_STATE, job.id, "comparing")
        for table in PARTITIONED:
            name = next(name for name, tables in TABLES.items() if table in tables)
            place = await job.readers[name].read_to(0)
            found = await comparing.growing(pool, table, place.epoch, place.sequence)
            await holder.execute(_COMPARED, job.id, json.dumps({table: found}))
            if table == "samples":
                await rebuilt.note_hours(pool, place.epoch, place.sequence)
                job.compared = place

    async def _exchange(self, pool: asyncpg.Pool, job: Job) -> bool:
        """False where the tables are in use for too long."""
        try:
            await self._exchange_now(pool, job)
        except (asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError):
            return False
        return True

    async def _exchange_now(self, pool: asyncpg.Pool, job: Job) -> None:
        """In one transaction; until it ends, the projections that serve wait for their checkpoints."""
        async with pool.acquire() as connection, connection.transaction():
            for row in await connection.fetch(_SERVED + " FOR UPDATE", list(job.readers)):
                name = row["projection"]
                at = await job.readers[name].read_to(row["sequence"])
                if (at.epoch, at.sequence) != (row["epoch"], row["sequence"]):
                    raise LogMoved  # another epoch began, or the database is of another moment
            found = {}
            for table in COMPARED:
                found[table] = await comparing.standing(connection, table)
            await connection.execute(_COMPARED, job.id, json.dumps(found))
            assert job.compared is not None
            await rebuilt.mark_hours(connection, job.compared.epoch, job.compared.sequence)
            await connection.execute(f"SET LOCAL statement_timeout = {LOCK_MS}")
            await connection.execute("SELECT public.hybridmq_shadow_lock($1)", job.exchanged)
            await connection.execute("SET LOCAL statement_timeout = 0")
            if job.complete("messages"):
                await connection.execute(_COUNTERS)
                await connection.execute(_UNHEARD)
            else:
                await connection.execute(_WIDEN)
            await connection.execute("SELECT public.hybridmq_shadow_swap($1)", job.exchanged)
            await connection.execute("UPDATE public.checkpoints SET turn = turn + 1")
            if await connection.execute(_END, job.id, "done", None) != "UPDATE 1":
                raise Cancelled
        _log.info("the read models are exchanged", id=job.id, tables=job.exchanged)

    async def _progress(self, pool: asyncpg.Pool) -> int:
        with suppress(*AWAY):
            async with pool.acquire() as connection:
                order = await connection.fetchrow(_OPEN)
                return -1 if order is None else int(order["messages"])
        return -1

    async def _fail(self, pool: asyncpg.Pool, why: str) -> None:
        _log.error("the rebuild is given up", error=why)
        with suppress(*AWAY):
            async with pool.acquire() as connection:
                order = await connection.fetchrow(_OPEN)
                if order is not None:
                    await connection.execute(_END, order["id"], "failed", why)
                await connection.execute("SELECT public.hybridmq_shadow_drop()")
