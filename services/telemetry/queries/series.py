"""Series in buckets, for several devices and metrics, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Row, text

from contracts import intervals
from contracts.failures import Refused
from contracts.series import Aggregate, GetSeries, Series, SeriesPage
from contracts.telemetry import Value
from services.telemetry.queries import cursors
from services.telemetry.queries.buckets import filled, value_of
from services.telemetry.queries.series_sql import PERCENTILES, statement
from services.telemetry.queries.session import COMPUTING, OutOfRange, ReadStore
from services.telemetry.queries.tiers import Choice, choose

_KIND = "series"
DEFAULT_SPAN = timedelta(days=1)
CELLS_MAX = 30_000  # that one statement computes: buckets times aggregates times series
ANSWER_BYTES_MAX = 600_000  # of values, beside 10,000 times of 23 bytes, within a message's 1 MiB
EXACT_MAX = 2**53


async def get_series(store: ReadStore, query: GetSeries, now: datetime) -> SeriesPage:
    """Refused: "request.invalid" for what cannot be computed, "not_found" for a device that was never heard of."""
    first, last, *after = _asked(query, now)
    interval, where = intervals.parse(query.interval), intervals.zone(query.time_zone)
    step = interval.step(where)
    starts = intervals.buckets(interval, where, first, last)
    count = max(1, min(query.limit, CELLS_MAX // (len(starts) * len(query.aggregate))))
    choice = choose(
        first,
        last,
        starts,
        step,
        samples_only=bool(query.integration_id) or any(each in PERCENTILES for each in query.aggregate),
    )
    rows = await _rows(
        store,
        query,
        choice,
        {
            "devices": list(query.device_id),
            "metrics": list(query.metric),
            "sources": list(query.integration_id),
            "day": first.astimezone(UTC).date(),
            "after_device": after[0],
            "after_metric": after[1],
            "count": count,
            "first": first,
            "last": last,
            **({"edges": starts} if step is None else {"step": step, "origin": starts[0]}),
            **choice.parameters(),
        },
    )
    _check_devices(query, rows)
    _check_kept(query, rows)
    shown: list[Series] = []
    spent, ended, cut = 0, None, rows[0].found > count
    for (device, metric), group in groupby(rows, lambda row: (row.device, row.metric)):
        if device is None:
            break
        series = _series(list(group), query, step, starts)
        spent += len(to_json(series.values))
        if spent > ANSWER_BYTES_MAX:
            if not shown:
                raise Refused(
                    "request.invalid",
                    "these values do not fit into one answer: ask for fewer aggregates or a longer interval",
                    field="aggregate",
                )
            cut = True
            break
        shown.append(series)
        ended = (device, metric)
    return SeriesPage(
        start=first.astimezone(UTC),
        end=last.astimezone(UTC),
        interval=query.interval,
        time_zone=query.time_zone,
        fill=query.fill,
        timestamps=starts,
        items=shown,
        next_cursor=cursors.encode(_KIND, query.organization, first, last, *ended)
        if cut and ended is not None
        else None,
    )


async def _rows(
    store: ReadStore, query: GetSeries, choice: Choice, parameters: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """Doubles are summed as such; where they do not hold the sum, a second time as decimals."""

    def asked(*, exactly: bool) -> Any:
        sql = statement(
            query.aggregate,
            by_device=bool(query.device_id),
            metrics=len(query.metric),
            by_source=bool(query.integration_id),
            uniform="step" in parameters,
            exactly=exactly,
            tiers=choice.tiers,
        )
        return text(sql).bindparams(**{name: parameters[name] for name in parameters if f":{name}" in sql})

    try:
        rows = await store.read(query.organization, asked(exactly=False), COMPUTING)
    except OutOfRange:
        return await store.read(query.organization, asked(exactly=True), COMPUTING)
    if "sum" in query.aggregate and any(row.sum is not None and abs(row.sum) > EXACT_MAX for row in rows):
        return await store.read(query.organization, asked(exactly=True), COMPUTING)
    return rows


def _asked(query: GetSeries, now: datetime) -> tuple[datetime, datetime, int, int]:
    """From when to when, after which device and metric: a cursor holds all of it, so that pages have the same times."""
    if query.cursor is None:
        last = query.to or now
        return query.from_ or last - DEFAULT_SPAN, last, 0, 0
    first, last, device, metric = cursors.decode(
        _KIND, query.organization, query.cursor, datetime, datetime, int, int
    )
    if not (0 <= device < 2**31 and 0 <= metric < 2**31 and first < last):
        raise Refused("cursor.invalid", "take `next_cursor` of the page before, as it is", field="cursor")
    return first, last, device, metric


def _check_devices(query: GetSeries, rows: Sequence[Row[Any]]) -> None:
    known = set(rows[0].known)
    if any(name not in known for name in query.device_id):
        raise Refused("not_found", "no such device")


def _check_kept(query: GetSeries, rows: Sequence[Row[Any]]) -> None:
    """Refused("retention.exceeded") where all that is left are roll-ups that do not answer this."""
    row = rows[0]
    if not (row.raw_gone or row.minutes_gone):
        return
    if row.raw_gone and (query.integration_id or any(each in PERCENTILES for each in query.aggregate)):
        raise Refused(
            "retention.exceeded",
            "percentiles, and what is asked of one integration, are computed of readings: these are kept since"
            f" {row.raw_since:%Y-%m-%d}",
            field="from",
            kept_since=row.raw_since,
        )
    spans, since = ("hours", row.minutes_since) if row.minutes_gone else ("minutes", row.raw_since)
    raise Refused(
        "retention.exceeded",
        f"before {since:%Y-%m-%d} there are whole {spans} only: `from`, `to` and `interval` must be such, too",
        field="interval",
        kept_since=since,
        smallest_interval="1h" if row.minutes_gone else "1m",
    )


def _series(rows: list[Row[Any]], query: GetSeries, step: timedelta | None, starts: list[datetime]) -> Series:
    at: list[Row[Any] | None] = [None] * len(starts)
    for row in rows:
        if row.bucket is not None:
            at[row.bucket if step is None else (row.bucket - starts[0]) // step] = row
    values: dict[Aggregate, list[Value | None]] = {}
    for aggregate in query.aggregate:
        if aggregate == "count":
            values[aggregate] = [0 if row is None else row.n for row in at]
            continue
        held = [None if row is None else value_of(row, aggregate) for row in at]
        values[aggregate] = filled(held, query.fill, starts)
    return Series(device_id=rows[0].device_name, metric=rows[0].metric_name, values=values)
