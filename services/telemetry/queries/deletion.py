"""How far the deletion of what is past an organization's retention is.

Asked as the projector: row security hides those very rows from the organization. It learns how many are its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from contracts.failures import Unavailable
from contracts.retention import LEFT_MAX, Deletion, DeletionState, Retention
from services.telemetry.database import AWAY

_PROGRESS = """
SELECT r.began_at, r.ended_at, r.rows_gone, nullif(r.raw_since, '-infinity') AS raw_since,
    (SELECT count(*) FROM (SELECT FROM samples s
        WHERE s.organization = r.organization AND s.time < r.raw_since LIMIT $2) a)
    + (SELECT count(*) FROM (SELECT FROM messages m
        WHERE m.organization = r.organization AND m.received_at < r.raw_since LIMIT $2) b) AS rows_left,
    (r.minutes_since > greatest(r.minutes_deleted, l.minutes) AND isfinite(r.minutes_since))
    OR (r.hours_since > greatest(r.hours_deleted, l.hours) AND isfinite(r.hours_since)) AS rollups_left
FROM retentions r CROSS JOIN (SELECT min(minutes_since) AS minutes, min(hours_since) AS hours FROM retentions) l
WHERE r.organization = (SELECT id FROM organizations WHERE name = $1)
"""


async def deletion(pool: asyncpg.Pool, organization: str, holds: Retention, now: datetime) -> Deletion | None:
    """None where nothing had to go yet."""
    try:
        row = await pool.fetchrow(_PROGRESS, organization, LEFT_MAX)
    except AWAY as error:
        raise Unavailable("store.unavailable", "the database does not answer; try again") from error
    if row is None:
        return None
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # Nothing goes before its roll-ups are computed: then the limit has not moved as far as it is to.
    held_back = row["raw_since"] is not None and row["raw_since"] < today - timedelta(days=holds.raw_days)
    left = min(row["rows_left"], LEFT_MAX)
    at_work = row["began_at"] is not None and row["ended_at"] is None
    state: DeletionState
    if left or row["rollups_left"]:
        state = "running" if at_work else "waiting"
    elif held_back:
        state = "waiting"
    elif row["began_at"] is not None:
        state = "done"
    else:
        return None
    return Deletion(
        state=state,
        began_at=row["began_at"],
        ended_at=row["ended_at"],
        rows_deleted=row["rows_gone"],
        rows_left=left,
        rollups_left=row["rollups_left"],
    )
