"""Who computes roll-ups: whole hours of devices, once they are over, and again where their samples changed.

Behind the projection, at a pace of its own. One replica works; after a crash of anything the next one who looks goes
on, for an hour stays dirty until the transaction that computed it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from opentelemetry.metrics import CallbackOptions, Observation

from runtime.observe import log, meter
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.projector import Projector
from services.telemetry.rollups.computing import DAYS, HOURS, MINUTES
from services.telemetry.rollups.marks import HOUR

_log = log(part="rollups")
LOCK = 0x68796D74  # any number, the same for every replica
LOOK_S = 5.0
COUNT_S = 10.0  # how often what waits is counted, up to a hundred thousand
BATCH_S = 0.5  # what a transaction is to take: so many devices come in one
DEVICES_MAX = 1000
TIMEOUT_S = 120.0  # of a statement: an hour of one device that sends a thousand times a second takes a tenth
SHARE = 1.0  # of a batch's own time that is left to others behind it
PENDING_MAX = 1000  # of the projection that serves: above, it has the right of way
COURTESY_S = 1.0  # but a batch a second gets through
DAY = timedelta(days=1)
PUT_OFF = timedelta(minutes=10)  # what cannot be computed; others come first

_HOUR = (
    "SELECT hour FROM dirty_hours WHERE hour < $1 AND since < $2 ORDER BY hour LIMIT 1",
    "SELECT device, version::text FROM dirty_hours WHERE hour = $1 AND since < $2 ORDER BY device LIMIT $3",
)
_CLEAN = """
DELETE FROM dirty_hours d USING unnest($2::int[], $3::text[]) AS done (device, version)
WHERE d.device = done.device AND d.hour = $1 AND d.version = done.version::xid8
"""
# Below what is kept, samples may be gone: the roll-ups stand as they are, and what came late is not seen by anybody.
_PAST = """
SELECT d.device FROM dirty_hours d JOIN retentions r ON r.organization = d.organization
WHERE d.hour = $1 AND d.device = ANY ($2::int[]) AND d.hour < r.raw_since
"""
_REMOVE = "DELETE FROM {table} WHERE device = ANY ($1::int[]) AND time >= $2 AND time < $3"
_REMOVE_LATE = "DELETE FROM samples WHERE device = ANY ($1::int[]) AND time >= $2 AND time < $3"
_DAY_DIRTY = """
INSERT INTO dirty_days (device, day, organization)
    SELECT device, date_trunc('day', hour, 'UTC'), organization FROM dirty_hours
    WHERE hour = $1 AND device = ANY ($2::int[])
ON CONFLICT DO NOTHING
"""
_DAY = """
SELECT d.day, d.device FROM dirty_days d WHERE d.day < $1 AND d.since < $2 AND NOT EXISTS (
    SELECT FROM dirty_hours h WHERE h.device = d.device AND h.hour >= d.day AND h.hour < d.day + interval '1 day')
ORDER BY d.day, d.device LIMIT $3
"""
_DAY_CLEAN = "DELETE FROM dirty_days WHERE day = $1 AND device = ANY ($2::int[])"
_PUT_OFF = "UPDATE {table} SET since = now() + $3 WHERE {column} = $1 AND device = $2"
_WAITING = "SELECT count(*) FROM (SELECT FROM dirty_hours WHERE hour < $1 LIMIT 100000) due"
# Rows of a few devices by their index, in this very day's partition, whatever the planner guesses of new tables.
_SETTINGS = (
    f"SET LOCAL statement_timeout = '{int(TIMEOUT_S)}s'",
    "SET LOCAL plan_cache_mode = force_custom_plan",
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL work_mem = '64MB'",
)


class RollupKeeper:
    """`run()` is its task."""

    def __init__(
        self, pool: asyncpg.Pool, live: Projector[Any], *, grace_s: float = 300.0, settle_s: float = 60.0
    ) -> None:
        """`grace_s` after its end an hour is over for whoever writes; again it is computed after `settle_s`."""
        self._pool, self._live = pool, live
        self._grace, self._settle = timedelta(seconds=grace_s), timedelta(seconds=settle_s)
        self._devices = 50
        self.waiting, self._count_next = 0, 0.0
        meter.create_observable_gauge(
            "hybridmq.rollups.waiting",
            callbacks=[self._observe_waiting],
            unit="{hour}",
            description="Hours of devices that are over and not rolled up yet",
        )

    def _observe_waiting(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(self.waiting)]

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with self._pool.acquire() as holder:
                    if await holder.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                        try:
                            while await self.work(datetime.now(UTC)):
                                pass
                        finally:
                            with suppress(*AWAY):
                                await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
            except AWAY as error:
                _log.warning("roll-ups wait", error=repr(error))
            await asyncio.sleep(min(LOOK_S, max(0.2, self._settle.total_seconds())))

    async def work(self, now: datetime) -> bool:
        """One batch; False where nothing is due."""
        await self._courtesy()
        began = time.monotonic()
        over, settled = now - self._grace, now - self._settle
        if began >= self._count_next:
            self._count_next = began + COUNT_S
            async with self._pool.acquire() as connection:
                self.waiting = await connection.fetchval(_WAITING, over - HOUR)
        done = await self._hour(over, settled) or await self._day(over, settled)
        took = time.monotonic() - began
        if done:
            await asyncio.sleep(SHARE * took)
        return done

    async def _hour(self, over: datetime, settled: datetime) -> bool:
        async with self._pool.acquire() as connection:
            hour = await connection.fetchval(_HOUR[0], over - HOUR, settled)
            if hour is None:
                return False
            rows = await connection.fetch(_HOUR[1], hour, settled, self._devices)
        versions = {row["device"]: row["version"] for row in rows}
        began = time.monotonic()
        if await self._attempt("dirty_hours", "hour", hour, list(versions), versions) and versions:
            took = max(0.01, time.monotonic() - began)
            wanted = int(len(versions) * BATCH_S / took)
            self._devices = max(1, min(DEVICES_MAX, 2 * self._devices, max(wanted, self._devices // 2)))
        return True

    async def _day(self, over: datetime, settled: datetime) -> bool:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_DAY, over - DAY, settled, DEVICES_MAX)
        if not rows:
            return False
        day = rows[0]["day"]
        await self._attempt("dirty_days", "day", day, [row["device"] for row in rows if row["day"] == day])
        return True

    async def _attempt(
        self,
        table: str,
        column: str,
        at: datetime,
        devices: list[int],
        versions: dict[int, str] | None = None,
    ) -> bool:
        """What the database refuses is tried with fewer devices; of a single one it is put off."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                for setting in _SETTINGS:
                    await connection.execute(setting)
                if versions is None:
                    await _compute_day(connection, at, devices)
                else:
                    await _compute_hour(connection, at, versions)
        except (asyncpg.PostgresError, TimeoutError) as error:
            if isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)):
                raise
            _log.warning("roll-ups cannot be computed", at=str(at), devices=len(devices), error=repr(error))
            self._devices = max(1, len(devices) // 2)
            if len(devices) == 1:
                async with self._pool.acquire() as connection:
                    statement = _PUT_OFF.format(table=table, column=column)
                    await connection.execute(statement, at, devices[0], PUT_OFF)
            return False
        return True

    async def _courtesy(self) -> None:
        waited = 0.0
        while self._live.pending > PENDING_MAX and waited < COURTESY_S:
            await asyncio.sleep(0.05)
            waited += 0.05


async def _compute_hour(connection: Session, hour: datetime, versions: dict[int, str]) -> None:
    """Marks that were renewed since they were read stay: their samples may not have been seen."""
    devices = list(versions)
    past = [row["device"] for row in await connection.fetch(_PAST, hour, devices)]
    if past:
        await connection.execute(_REMOVE_LATE, past, hour, hour + HOUR, timeout=TIMEOUT_S)
    here = sorted(set(devices) - set(past))
    if here:
        await connection.execute("SELECT hybridmq_ensure_rollups($1)", hour)
        for table, statement in (("rollups_1m", MINUTES), ("rollups_1h", HOURS)):
            await connection.execute(_REMOVE.format(table=table), here, hour, hour + HOUR, timeout=TIMEOUT_S)
            await connection.execute(statement, here, hour, hour + HOUR, timeout=TIMEOUT_S)
        await connection.execute(_DAY_DIRTY, hour, here)
    await connection.execute(_CLEAN, hour, devices, [versions[device] for device in devices])


async def _compute_day(connection: Session, day: datetime, devices: Sequence[int]) -> None:
    await connection.execute("SELECT hybridmq_ensure_rollups($1)", day)
    await connection.execute(_REMOVE.format(table="rollups_1d"), devices, day, day + DAY, timeout=TIMEOUT_S)
    await connection.execute(DAYS, devices, day, day + DAY, timeout=TIMEOUT_S)
    await connection.execute(_DAY_CLEAN, day, devices)
