"""What the logs hold no longer, from the tables that serve into the shadow: a rebuild loses no row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg

from services.telemetry.checkpoints import Segment, Session
from services.telemetry.shadow import PARTITIONED

_DAYS = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = format('public.%I', $1::text)::regclass ORDER BY c.relname"
)
_FLOOR = "SELECT floor FROM public.partition_floors WHERE parent = $1"
_NOTE = "INSERT INTO carried (name) VALUES ($1) ON CONFLICT DO NOTHING"
_COUNT = "UPDATE public.rebuilds SET carried = carried + $2 WHERE id = $1"
_METRICS = """
INSERT INTO device_metrics AS held (organization, device, metric, day)
    SELECT organization, device, metric, max((time AT TIME ZONE 'UTC')::date)
    FROM samples CROSS JOIN LATERAL unnest(metrics) AS metric WHERE time >= $1 AND time < $2
    GROUP BY organization, device, metric
ON CONFLICT (device, metric) DO UPDATE SET day = excluded.day WHERE held.day < excluded.day
"""
_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)


def held_by(segments: Sequence[Segment]) -> str:
    """The condition that the log holds a row's message."""
    parts = [
        f"(epoch = {each.epoch} AND sequence >= {each.first}"
        + ("" if each.last is None else f" AND sequence <= {each.last}")
        + ")"
        for each in segments
    ]
    return "(" + " OR ".join(parts or ["false"]) + ")"


async def carry_rows(pool: asyncpg.Pool, rebuild: int, table: str, segments: Sequence[Segment]) -> None:
    """All rows of a partitioned table whose messages the log holds no longer: day by day, each once."""
    column, not_held = PARTITIONED[table], f"NOT {held_by(segments)}"
    async with pool.acquire() as connection:
        done = {row["name"] for row in await connection.fetch("SELECT name FROM carried")}
        floor = await connection.fetchval(_FLOOR, table)
        for row in await connection.fetch(_DAYS, table):
            name = row["relname"]
            if name in done:
                continue
            start, end, day = _span(name, floor)
            if day is not None:
                await connection.execute("SELECT hybridmq_ensure_day($1, $2)", table, day)
            async with connection.transaction():
                copied = await connection.execute(
                    f"INSERT INTO {table} SELECT * FROM public.{table}"  # noqa: S608  # names of our own
                    f" WHERE {column} >= $1 AND {column} < $2 AND {not_held}",
                    start,
                    end,
                )
                if table == "samples":
                    await connection.execute(_METRICS, start, end)
                await connection.execute(_NOTE, name)
                await connection.execute(_COUNT, rebuild, int(copied.rpartition(" ")[2]))


def _span(partition: str, floor: date) -> tuple[datetime, datetime, date | None]:
    if partition.endswith("_old"):
        return _ALWAYS, datetime(floor.year, floor.month, floor.day, tzinfo=UTC), None
    start = datetime.strptime(partition[-8:], "%Y%m%d").replace(tzinfo=UTC)
    return start, start + timedelta(days=1), start.date()


async def carry_states(connection: Session, table: str, column: str, before: datetime) -> None:
    """Rows that only events of before the log speak of; what the log says of them comes on top."""
    for row in await connection.fetch(_DAYS, table):
        if not row["relname"].endswith("_old"):
            day = datetime.strptime(row["relname"][-8:], "%Y%m%d").replace(tzinfo=UTC).date()
            await connection.execute("SELECT hybridmq_ensure_day($1, $2)", table, day)
    await connection.execute(
        f"INSERT INTO {table} SELECT * FROM public.{table} WHERE {column} < $1 ON CONFLICT DO NOTHING",  # noqa: S608
        before,
    )
