"""The latest value of every metric of every device, in one statement: a look into an index for each."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Row, text

from contracts.calls import Page
from contracts.failures import Refused
from contracts.series import LatestRow, ListLatest
from contracts.telemetry import LatestValue
from services.telemetry.described import Described
from services.telemetry.queries import cursors
from services.telemetry.queries.buckets import said
from services.telemetry.queries.session import ReadStore

_KIND = "latest"
ANSWER_BYTES_MAX = 800_000  # within a message's 1 MiB

# Devices with the newest first, as in their list. `day` is the last with a value: one day's index is asked,
# and where its samples are kept no longer, what the roll-ups of its hours say of the last one.
_LATEST = """
WITH known AS MATERIALIZED (
    SELECT name FROM devices WHERE name = ANY (CAST(:devices AS text[])) AND first_seen IS NOT NULL
), wanted AS MATERIALIZED (
    SELECT id FROM metrics WHERE CAST(:any_metric AS boolean) OR name = ANY (CAST(:metrics AS text[]))
), more AS MATERIALIZED (
    SELECT d.id, d.name FROM devices d
    WHERE d.first_seen IS NOT NULL AND d.id < CAST(:before AS bigint) {filters}
        AND EXISTS (
            SELECT FROM device_metrics held WHERE held.device = d.id AND held.metric IN (SELECT id FROM wanted)
        )
    ORDER BY d.id DESC
    LIMIT CAST(:count AS integer) + 1
), page AS MATERIALIZED (
    SELECT * FROM more ORDER BY id DESC LIMIT CAST(:count AS integer)
)
SELECT ARRAY (SELECT name FROM known) AS known, (SELECT count(*) FROM more) AS found,
    page.id AS device, page.name AS device_name, m.name AS metric_name, newest.unit,
    coalesce(newest.time, rolled.time) AS time, coalesce(newest.number, rolled.number) AS number,
    coalesce(newest.other, rolled.other) AS other
FROM (SELECT 1) one
    LEFT JOIN page ON true
    LEFT JOIN device_metrics held ON held.device = page.id AND held.metric IN (SELECT id FROM wanted)
    LEFT JOIN metrics m ON m.id = held.metric
    LEFT JOIN LATERAL (
        SELECT s.time, s.numbers[array_position(s.metrics, held.metric)] AS number,
            CAST(s.others -> CAST(held.metric AS text) AS text) AS other, s.units ->> CAST(held.metric AS text) AS unit
        FROM samples s
        WHERE s.device = page.id AND held.metric = ANY (s.metrics)
            AND s.time >= CAST(held.day AS timestamp) AT TIME ZONE 'UTC'
            AND s.time < CAST(held.day + 1 AS timestamp) AT TIME ZONE 'UTC'
        ORDER BY s.time DESC, s.sequence DESC
        LIMIT 1
    ) newest ON true
    LEFT JOIN LATERAL (
        SELECT r.last_at AS time, r.last AS number, CAST(r.last_other AS text) AS other FROM rollups_1h r
        WHERE newest.time IS NULL AND r.device = page.id AND r.metric = held.metric
            AND r.time >= CAST(held.day AS timestamp) AT TIME ZONE 'UTC'
            AND r.time < CAST(held.day + 1 AS timestamp) AT TIME ZONE 'UTC'
        ORDER BY r.time DESC
        LIMIT 1
    ) rolled ON true
ORDER BY page.id DESC, m.name
"""


async def list_latest(store: ReadStore, query: ListLatest, described: Described) -> Page[LatestRow]:
    """Refused("not_found") for a device that was never heard of."""
    before = (
        2**31 if query.cursor is None else cursors.decode(_KIND, query.organization, query.cursor, int)[0]
    )
    sql = text(
        _LATEST.format(filters="AND d.name = ANY (CAST(:devices AS text[]))" if query.device_id else "")
    )
    rows = await store.read(
        query.organization,
        sql.bindparams(
            devices=list(query.device_id),
            metrics=list(query.metric),
            any_metric=not query.metric,
            before=before,
            count=query.limit,
        ),
    )
    if set(query.device_id) - set(rows[0].known):
        raise Refused("not_found", "no such device")
    shown: list[LatestRow] = []
    spent, ended, cut = 0, None, rows[0].found > query.limit
    for device, group in groupby(rows, lambda row: row.device):
        if device is None:
            break
        row = _row(list(group), query.organization, described)
        spent += len(to_json(row))
        if spent > ANSWER_BYTES_MAX:
            if not shown:
                raise Refused(
                    "request.invalid", "these values do not fit into one answer: name metrics", field="metric"
                )
            cut = True
            break
        shown.append(row)
        ended = device
    return Page(
        items=shown,
        next_cursor=cursors.encode(_KIND, query.organization, ended) if cut and ended is not None else None,
    )


def _row(rows: list[Row[Any]], organization: str, described: Described) -> LatestRow:
    metrics = {
        row.metric_name: LatestValue(
            value=value,
            unit=row.unit or described.unit(organization, row.metric_name),
            timestamp=row.time,
        )
        for row in rows
        if row.time is not None and (value := said(row.number, row.other)) is not None
    }
    return LatestRow(device_id=rows[0].device_name, metrics=metrics)
