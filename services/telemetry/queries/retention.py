"""How long readings are kept, and since when there are any."""

from __future__ import annotations

from sqlalchemy import text

from contracts.retention import Deletion, GetRetention, Retention, RetentionView
from services.telemetry.queries.session import ReadStore

# -infinity as no moment: nothing was let go yet.
_SINCE = text(
    "SELECT nullif(hybridmq_raw_since(), '-infinity') AS raw_since,"
    " nullif(hybridmq_minutes_since(), '-infinity') AS minutes_since,"
    " nullif(hybridmq_hours_since(), '-infinity') AS hours_since"
)


async def get_retention(
    store: ReadStore,
    query: GetRetention,
    chosen: Retention | None,
    default: Retention,
    deletion: Deletion | None,
) -> RetentionView:
    (row,) = await store.read(query.organization, _SINCE)
    return RetentionView(
        **(chosen or default).model_dump(),
        chosen=chosen is not None,
        raw_since=row.raw_since,
        minutes_since=row.minutes_since,
        hours_since=row.hours_since,
        deletion=deletion,
    )
