"""Retention: what is past it is seen by nobody at once (row security), and goes: by whole partitions where no
organization keeps it longer, else in small batches.

Nothing of it goes before its roll-ups are computed: until then an organization's limit waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import asyncpg

from contracts.retention import Retention
from runtime.observe import log
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.directory import Directory
from services.telemetry.partitions import AHEAD_DAYS, Partitions

_log = log(part="retention")
LOCK = 0x68796D75  # any number, the same for every replica
ROWS = 10_000  # of a transaction, which the projection may wait for
DEVICES = 50  # of a transaction: a day of their minutes
REST_S = 0.05  # behind each

_KNOWN = "INSERT INTO retentions (organization) SELECT id FROM organizations ON CONFLICT DO NOTHING"
# $1… organizations that chose, $5… the defaults, $8 today's beginning. `waiting` is the oldest hour that is not rolled
# up, of those that are to go.
_MOVE = """
WITH wanted AS (
    SELECT o.id, $8::timestamptz - coalesce(c.raw, $5::int) * interval '1 day' AS raw,
        $8::timestamptz - coalesce(c.minutes, $6::int) * interval '1 day' AS minutes,
        CASE WHEN c.name IS NULL THEN $8::timestamptz - $7::int * interval '1 day'
            ELSE $8::timestamptz - c.hours * interval '1 day' END AS hours
    FROM organizations o
        LEFT JOIN unnest($1::text[], $2::int[], $3::int[], $4::int[]) AS c (name, raw, minutes, hours)
            ON c.name = o.name
), waiting AS (
    SELECT d.organization, date_trunc('day', min(d.hour), 'UTC') AS day
    FROM dirty_hours d JOIN retentions r ON r.organization = d.organization JOIN wanted w ON w.id = d.organization
    WHERE d.hour >= r.raw_since AND d.hour < w.raw
    GROUP BY d.organization
), moved AS (
    SELECT r.organization, greatest(r.raw_since, least(w.raw, t.day)) AS raw,
        greatest(r.minutes_since, least(w.minutes, w.raw, t.day)) AS minutes,
        greatest(r.hours_since, least(w.hours, w.minutes, w.raw, t.day)) AS hours, w.hours IS NULL AS for_ever
    FROM retentions r JOIN wanted w ON w.id = r.organization LEFT JOIN waiting t ON t.organization = r.organization
)
UPDATE retentions r SET raw_since = m.raw, minutes_since = m.minutes,
    hours_since = CASE WHEN m.for_ever THEN r.hours_since ELSE m.hours END
FROM moved m WHERE m.organization = r.organization AND (r.raw_since, r.minutes_since, r.hours_since) IS DISTINCT FROM
    (m.raw, m.minutes, CASE WHEN m.for_ever THEN r.hours_since ELSE m.hours END)
RETURNING r.organization
"""
_LONGEST = (
    "SELECT min(raw_since) AS raw, min(minutes_since) AS minutes, min(hours_since) AS hours FROM retentions"
)
_SHORTER = {
    "raw": "SELECT organization, raw_deleted AS done, raw_since AS since FROM retentions"
    " WHERE raw_since > greatest(raw_deleted, $1) AND isfinite(raw_since)",
    "minutes": "SELECT organization, minutes_deleted AS done, minutes_since AS since FROM retentions"
    " WHERE minutes_since > greatest(minutes_deleted, $1) AND isfinite(minutes_since)",
    "hours": "SELECT organization, hours_deleted AS done, hours_since AS since FROM retentions"
    " WHERE hours_since > greatest(hours_deleted, $1) AND isfinite(hours_since)",
}
# What is under way goes on where it was cut off.
_BEGIN = (
    "UPDATE retentions SET began_at = now(), ended_at = NULL, rows_gone = 0"
    " WHERE organization = $1 AND (began_at IS NULL OR ended_at IS NOT NULL)"
)
_END = "UPDATE retentions SET ended_at = now() WHERE began_at IS NOT NULL AND ended_at IS NULL"
_DONE = "UPDATE retentions SET {tier}_deleted = $2 WHERE organization = $1"
_COUNTED = """
WITH gone AS ({statement} RETURNING 1), counted AS (
    UPDATE retentions SET rows_gone = rows_gone + (SELECT count(*) FROM gone) WHERE organization = $1)
SELECT count(*) FROM gone
"""
# Within a day, which is one partition: a row's place is its own there.
_SOME = _COUNTED.replace(
    "{statement}",
    "DELETE FROM {table} WHERE {column} >= $2 AND {column} < $3 AND ctid = ANY (ARRAY (SELECT ctid FROM {table}"
    " WHERE organization = $1 AND {column} >= $2 AND {column} < $3 LIMIT {rows}))",
)
_OF_DEVICES = _COUNTED.replace(
    "{statement}", "DELETE FROM {table} WHERE device = ANY ($2::int[]) AND time >= $3 AND time < $4"
)
_OLDEST = "SELECT min({column}) FROM {table} WHERE organization = $1 AND {column} < $2"
_DEVICES = "SELECT id FROM devices WHERE organization = $1 ORDER BY id"


class Tier(NamedTuple):
    """What goes together: tables with the column of their time."""

    name: str
    by_rows: tuple[tuple[str, str], ...]  # found by organization and time
    by_device: tuple[tuple[str, timedelta], ...]  # found by device; as much at once


TIERS = (
    Tier("raw", (("samples", "time"), ("messages", "received_at")), ()),
    Tier("minutes", (), (("rollups_1m", timedelta(days=1)),)),
    Tier("hours", (), (("rollups_1h", timedelta(days=31)), ("rollups_1d", timedelta(days=366)))),
)
_OLD = "SELECT floor FROM partition_floors WHERE parent = $1"


class RetentionKeeper:
    """`run()` is its task; `wake` tells it that somebody chose."""

    def __init__(self, pool: asyncpg.Pool, directory: Directory, default: Retention, every_s: float) -> None:
        self._pool, self._directory, self._default, self._every_s = pool, directory, default, every_s
        self._partitions = Partitions()
        self.wake = asyncio.Event()
        directory.on_retention = self.wake.set

    async def run(self) -> None:
        """For ever."""
        await self._directory.complete.wait()
        while True:
            self.wake.clear()
            try:
                await self.enforce(datetime.now(UTC).date())
            except AWAY as error:
                _log.warning("retention is put off", error=repr(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self.wake.wait()

    async def enforce(self, today: date) -> None:
        async with self._pool.acquire() as holder:
            await self.move(holder, today)
            if not await holder.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                return  # another replica deletes
            try:
                await self._drop(holder, today)
                for tier in TIERS:
                    await self._delete(tier)
                await holder.execute(_END)
            finally:
                with suppress(*AWAY):
                    await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)

    async def move(self, connection: Session, today: date) -> None:
        """What is past each organization's retention is not seen from now on."""
        chosen = self._directory.retentions
        await connection.execute(_KNOWN)
        await connection.execute(
            _MOVE,
            list(chosen),
            [each.raw_days for each in chosen.values()],
            [each.minutes_days for each in chosen.values()],
            [each.hours_days for each in chosen.values()],
            self._default.raw_days,
            self._default.minutes_days,
            self._default.hours_days,
            _midnight(today),
        )

    async def _drop(self, holder: Session, today: date) -> None:
        ahead = [today + timedelta(days=n) for n in range(AHEAD_DAYS + 1)]
        await self._partitions.ensure(holder, [("samples", day) for day in ahead])
        longest = await holder.fetchrow(_LONGEST)
        if longest is None or longest["raw"] is None:
            return
        dropped = {}
        if (raw := _finite(longest["raw"])) is not None:
            dropped["samples"] = await holder.fetchval("SELECT hybridmq_drop_days('samples', $1)", raw.date())
        for tier, tables in (("minutes", ("rollups_1m",)), ("hours", ("rollups_1h", "rollups_1d"))):
            if (since := _finite(longest[tier])) is not None:
                for table in tables:
                    dropped[table] = await holder.fetchval(
                        "SELECT hybridmq_drop_rollups($1, $2)", table, since
                    )
        if any(dropped.values()):
            self._partitions.forget()
            _log.info("partitions dropped", **dropped)

    async def _delete(self, tier: Tier) -> None:
        """Of organizations whose retention is shorter than the longest, what no partition took along."""
        async with self._pool.acquire() as connection:
            longest = await connection.fetchrow(_LONGEST)
            if longest is None or longest[tier.name] is None:
                return
            shorter = await connection.fetch(_SHORTER[tier.name], longest[tier.name])
        for row in shorter:
            await self._pool.execute(_BEGIN, row["organization"])
            for table, column in tier.by_rows:
                await self._delete_rows(table, column, row["organization"], row["since"])
            for table, at_once in tier.by_device:
                await self._delete_of_devices(table, at_once, row["organization"], row["done"], row["since"])
            await self._pool.execute(_DONE.format(tier=tier.name), row["organization"], row["since"])

    async def _delete_rows(self, table: str, column: str, organization: int, since: datetime) -> None:
        async with self._pool.acquire() as connection:
            floor = _midnight(await connection.fetchval(_OLD, table))
        while True:
            async with self._pool.acquire() as connection:
                oldest = await connection.fetchval(
                    _OLDEST.format(table=table, column=column), organization, since
                )
            if oldest is None:
                return
            if oldest < floor:
                span = datetime.min.replace(tzinfo=UTC), min(floor, since)
            else:
                day = _midnight(oldest.astimezone(UTC).date())
                span = day, day + timedelta(days=1)
            statement = _SOME.format(table=table, column=column, rows=ROWS)
            gone = ROWS
            while gone >= ROWS:
                gone = await self._pool.fetchval(statement, organization, *span)
                await asyncio.sleep(REST_S)

    async def _delete_of_devices(
        self, table: str, at_once: timedelta, organization: int, done: datetime, since: datetime
    ) -> None:
        async with self._pool.acquire() as connection:
            devices = [row["id"] for row in await connection.fetch(_DEVICES, organization)]
            floor = _midnight(await connection.fetchval(_OLD, table))
        done = done if _finite(done) is not None else datetime.min.replace(tzinfo=UTC)
        for first in range(0, len(devices), DEVICES):
            some = devices[first : first + DEVICES]
            start, end = done, min(since, max(done + at_once, floor))
            while start < since:
                await self._pool.execute(_OF_DEVICES.format(table=table), organization, some, start, end)
                start, end = end, min(since, end + at_once)
                await asyncio.sleep(REST_S / 10)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _finite(moment: datetime) -> datetime | None:
    """asyncpg gives the ends of time for PostgreSQL's infinities."""
    return None if moment.year in (1, 9999) else moment
