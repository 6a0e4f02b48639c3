"""What a rebuild means to roll-ups: they stay, but for hours whose samples it makes otherwise."""

from __future__ import annotations

import asyncpg

from services.telemetry.checkpoints import Session

_DAYS = """
SELECT DISTINCT CASE WHEN right(c.relname, 4) = '_old' THEN '-infinity'
        ELSE to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' END AS starts,
    CASE WHEN right(c.relname, 4) = '_old' THEN (SELECT floor::timestamp AT TIME ZONE 'UTC' FROM public.partition_floors
        WHERE parent = 'samples') ELSE
        (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' END AS ends
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY (ARRAY['public.samples', 'shadow.samples']::regclass[]) ORDER BY 1
"""
# What both have adds up to nothing.
_DIFFERENT = """
INSERT INTO public.rebuilt_hours (device, hour, organization)
SELECT device, hour, organization FROM (
    SELECT device, date_trunc('hour', time, 'UTC') AS hour, organization, 1 AS side,
        hashtextextended(s::text, 0)::numeric AS hash, epoch, sequence
    FROM public.samples s WHERE time >= $1 AND time < $2
    UNION ALL
    SELECT device, date_trunc('hour', time, 'UTC'), organization, -1, -hashtextextended(s::text, 0)::numeric,
        epoch, sequence
    FROM shadow.samples s WHERE time >= $1 AND time < $2
) both_sides
WHERE NOT (epoch > $3 OR (epoch = $3 AND sequence > $4))
GROUP BY device, hour, organization HAVING sum(side) <> 0 OR sum(hash) <> 0
"""
_MARK = """
INSERT INTO public.dirty_hours (device, hour, organization)
SELECT device, hour, organization FROM public.rebuilt_hours
UNION SELECT device, date_trunc('hour', time, 'UTC'), organization FROM public.samples
    WHERE epoch = $1 AND sequence > $2
UNION SELECT device, date_trunc('hour', time, 'UTC'), organization FROM shadow.samples
    WHERE epoch = $1 AND sequence > $2
ORDER BY 1, 2
ON CONFLICT (device, hour) DO UPDATE SET version = excluded.version
"""
_CARRY = (
    "INSERT INTO device_metrics SELECT m.* FROM public.device_metrics m JOIN public.retentions r USING (organization)"
    " WHERE m.day < r.raw_since ON CONFLICT DO NOTHING"
)


async def note_hours(pool: asyncpg.Pool, epoch: int, sequence: int) -> None:
    """Beside what serves, day by day: hours whose samples up to this message are not the same."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("TRUNCATE public.rebuilt_hours")
        for row in await connection.fetch(_DAYS):
            await connection.execute(_DIFFERENT, row["starts"], row["ends"], epoch, sequence)


async def mark_hours(connection: Session, epoch: int, sequence: int) -> None:
    """Within the exchange: those, and hours of what was read since. Until then roll-ups are of what serves."""
    await connection.execute(_MARK, epoch, sequence)


async def carry_metrics(connection: Session) -> None:
    """What a device measured when its samples were kept yet: its roll-ups are found by it."""
    await connection.execute(_CARRY)
