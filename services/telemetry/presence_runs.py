"""How many devices of each organization are online, counted once a minute.

A gauge, not a projection: two logs say who is online, each late in its own way, so what was shown at a time is known
at that time alone. A rebuild leaves it as it is (decision 31).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from runtime.observe import log
from services.telemetry.database import AWAY

_log = log(part="presence")
EVERY = timedelta(minutes=1)
GAP = timedelta(minutes=2)  # one look may be missed, by a restart; a longer silence is shown as one
TIDY_EVERY = 60  # looks
# A row only where the number changed: an organization whose devices stay takes one.
_COUNT = """
WITH counted AS (
    SELECT organization, count(*) FILTER (WHERE online)::int AS online FROM presence GROUP BY organization
), held AS (
    SELECT c.organization, c.online, r.since, r.until, r.online AS before FROM counted c LEFT JOIN LATERAL (
        SELECT since, until, online FROM presence_runs r WHERE r.organization = c.organization
        ORDER BY since DESC LIMIT 1) r ON true
), longer AS (
    UPDATE presence_runs r SET until = $1 FROM held h WHERE r.organization = h.organization AND r.since = h.since
        AND h.before = h.online AND h.until BETWEEN $1::timestamptz - $2::interval AND $1::timestamptz
)
INSERT INTO presence_runs (organization, since, until, online)
    SELECT organization, $1, $1, online FROM held
    WHERE until IS NULL OR until < $1::timestamptz - $2::interval OR (before <> online AND until < $1)
ON CONFLICT (organization, since) DO NOTHING
"""
_FORGET = "DELETE FROM presence_runs WHERE until < $1"


async def count_once(pool: asyncpg.Pool, at: datetime) -> None:
    """Of this minute; harmless when another replica did it before."""
    await pool.execute(_COUNT, at.replace(second=0, microsecond=0), GAP)


async def count_presence(pool: asyncpg.Pool, days_kept: int) -> None:
    """For ever: at the beginning of each minute, and at once."""
    looks = 0
    while True:
        try:
            now = datetime.now(UTC)
            await count_once(pool, now)
            if looks % TIDY_EVERY == 0:
                await pool.execute(_FORGET, now - timedelta(days=days_kept))
            looks += 1
        except AWAY as error:
            _log.warning("nobody counts who is online now", error=repr(error))
        now = datetime.now(UTC)
        await asyncio.sleep((now.replace(second=0, microsecond=0) + EVERY - now).total_seconds())
