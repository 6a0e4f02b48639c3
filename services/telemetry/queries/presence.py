"""How many devices are online: counted now, and as it was counted minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from contracts import intervals
from contracts.failures import Refused
from contracts.presence import GetPresence, PresenceCounts, PresencePage
from services.telemetry.presence_runs import EVERY
from services.telemetry.queries.session import ReadStore

DEFAULT_SPAN = timedelta(hours=1)
_UTC = intervals.zone("UTC")
# Those online by an index of their own; one run a bucket: the last that began in it or before.
_SQL = """
WITH counted AS MATERIALIZED (
    SELECT (SELECT count(*) FROM presence WHERE online) AS online, (SELECT count(*) FROM presence) AS said,
        count(*) AS devices, count(*) FILTER (WHERE hidden) AS hidden
    FROM devices WHERE first_seen IS NOT NULL OR described_at IS NOT NULL
)
SELECT c.online, c.said, c.devices, c.hidden, CASE WHEN r.until >= b.start THEN r.online END AS then_online
FROM counted c CROSS JOIN unnest(:starts, :ends) WITH ORDINALITY AS b (start, "end", place)
LEFT JOIN LATERAL (
    SELECT until, online FROM presence_runs WHERE since < b."end" ORDER BY since DESC LIMIT 1) r ON true
ORDER BY b.place
"""


async def get_presence(store: ReadStore, query: GetPresence, now: datetime) -> PresencePage:
    """Refused("request.invalid") for an interval that is no whole minutes, or makes too many."""
    last = (query.to or now).astimezone(UTC)
    first = query.from_ or last - DEFAULT_SPAN
    interval = intervals.parse(query.interval)
    if interval.unit == "second" and interval.count % EVERY.total_seconds():
        raise Refused(
            "request.invalid",
            "this is counted by the minute: an interval is whole ones",
            field="interval",
            smallest_interval="1m",
        )
    starts = intervals.buckets(interval, _UTC, first, last)
    times = ARRAY(TIMESTAMP(timezone=True))
    statement = text(_SQL).bindparams(
        bindparam("starts", starts, times), bindparam("ends", [*starts[1:], last], times)
    )
    # Sorting is for ten thousand rows of ours at most, not for rows of the tenant's.
    rows = await store.read(query.organization, statement, {"enable_sort": "on"})
    [counted, *_] = rows
    online = [row.then_online for row in rows]
    if query.to is None:
        online[-1] = counted.online  # of the interval that is not over: as it is now
    return PresencePage(
        at=now,
        now=PresenceCounts(
            devices=counted.devices,
            online=counted.online,
            offline=counted.said - counted.online,
            unknown=max(0, counted.devices - counted.said),
            hidden=counted.hidden,
        ),
        start=starts[0],
        end=last,
        interval=query.interval,
        timestamps=starts,
        online=online,
    )
