"""The end of a job: what lost readings or messages is looked up, so that nothing shows what is no more."""

from __future__ import annotations

import asyncpg

from services.telemetry import checkpoints
from services.telemetry.redecode_job import MESSAGES

PAIRS = 200  # of one transaction, which the projection that serves may wait for

_SOME = "SELECT device, metric FROM redecode_doubts WHERE redecode = $1 ORDER BY device, metric LIMIT $2"
_NEWEST = """
WITH doubt AS (SELECT * FROM unnest($1::int[], $2::int[]) AS d (device, metric)),
newest AS (
    SELECT d.device, d.metric, coalesce((SELECT (s.time AT TIME ZONE 'UTC')::date FROM samples s
        WHERE s.device = d.device AND s.metrics @> ARRAY[d.metric] ORDER BY s.time DESC LIMIT 1),
        (SELECT (max(r.time) AT TIME ZONE 'UTC')::date FROM rollups_1d r JOIN retentions k USING (organization)
        WHERE r.device = d.device AND r.metric = d.metric AND r.time < k.raw_since)) AS day
    FROM doubt d),
gone AS (
    DELETE FROM device_metrics held USING newest n
    WHERE held.device = n.device AND held.metric = n.metric AND n.day IS NULL)
UPDATE device_metrics held SET day = n.day FROM newest n
WHERE held.device = n.device AND held.metric = n.metric AND n.day <> held.day
"""
_LOCK = "SELECT FROM device_metrics WHERE device = ANY($1) ORDER BY device, metric FOR UPDATE"
# A device that no message and no sample is of any more was never heard.
_UNHEARD = """
WITH unheard AS (
    SELECT d AS id FROM unnest($1::int[]) AS d
    WHERE NOT EXISTS (SELECT FROM messages m WHERE m.device = d)
        AND NOT EXISTS (SELECT FROM samples s WHERE s.device = d)
        AND NOT EXISTS (SELECT FROM rollups_1d r JOIN retentions k USING (organization)
            WHERE r.device = d AND r.time < k.raw_since)),
gone AS (DELETE FROM presence p USING unheard u WHERE p.device = u.id AND p.why IN ('status', 'lwt'))
UPDATE devices d SET first_seen = NULL, last_seen = NULL, messages = 0 FROM unheard u
WHERE d.id = u.id AND NOT EXISTS (SELECT FROM connections c WHERE c.device = d.id)
"""
_LAST_SEEN = """
UPDATE devices d SET last_seen = (SELECT max(m.received_at) FROM messages m WHERE m.device = d.id)
WHERE d.id = ANY($1) AND EXISTS (SELECT FROM messages m WHERE m.device = d.id)
    AND NOT EXISTS (SELECT FROM connections c WHERE c.device = d.id)
"""
_DONE = (
    "DELETE FROM redecode_doubts WHERE redecode = $1"
    " AND (device, metric) IN (SELECT * FROM unnest($2::int[], $3::int[]))"
)


async def settle(pool: asyncpg.Pool, id: str) -> bool:
    """Some of what is in doubt; False where nothing is any more."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(_SOME, id, PAIRS)
        if not rows:
            return False
        pairs = [(row["device"], row["metric"]) for row in rows]
        metrics = [pair for pair in pairs if pair[1] != MESSAGES]
        devices = [device for device, metric in pairs if metric == MESSAGES]
        # The projection that serves remembers days and devices: it looks again.
        await checkpoints.turn(connection, "messages")
        if metrics:
            columns = [device for device, _ in metrics], [metric for _, metric in metrics]
            await connection.fetch(_LOCK, columns[0])
            await connection.execute(_NEWEST, *columns)
        if devices:
            await connection.execute(_LAST_SEEN, devices)
            await connection.execute(_UNHEARD, devices)
        await connection.execute(_DONE, id, [d for d, _ in pairs], [m for _, m in pairs])
        return True
