"""Statistics: counters of a time, summed into intervals, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, get_args

from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from contracts import intervals
from contracts.failures import Refused
from contracts.intervals import Interval
from contracts.stats import BY_MINUTE, HOUR, MINUTE, SCOPES, By, Counter, GetStats, Stats, StatsPage
from services.telemetry.queries import cursors
from services.telemetry.queries.session import COMPUTING, ReadStore

_KIND = "stats"
DEFAULT_SPAN = timedelta(days=1)
CELLS_MAX = 60_000  # intervals times counters times items: of 10 digits each they fit into a message
COUNTERS: tuple[Counter, ...] = get_args(Counter)
_OF_MESSAGES = frozenset(("messages", "bytes", "readings", "dead_letters"))
_OF_ACTIVITY = frozenset(COUNTERS) - {"readings", "dead_letters"}
_UTC = intervals.zone("UTC")


class StatsCalls:
    """The handler; minutes are there for as long as `minutes_kept`."""

    def __init__(self, store: ReadStore, minutes_kept: timedelta) -> None:
        self._store, self._minutes_kept = store, minutes_kept

    async def get(self, query: GetStats) -> StatsPage:
        return await get_stats(self._store, query, datetime.now(UTC), self._minutes_kept)


async def get_stats(store: ReadStore, query: GetStats, now: datetime, minutes_kept: timedelta) -> StatsPage:
    """Refused: "request.invalid" for what is not counted, "not_found" for a device that was never heard of."""
    by, names = _names(query)
    first, last, after = _asked(query, now)
    interval = intervals.parse(query.interval)
    minutes = _by_minute(interval, by, first < now - minutes_kept)
    starts = _starts(interval, first, last, MINUTE if minutes else HOUR)
    counters = query.counter or COUNTERS
    width = len(starts) * len(counters)
    if width > CELLS_MAX:
        raise Refused(
            "request.invalid",
            f"at most {CELLS_MAX:,} numbers in an answer: ask for a longer interval, or for fewer of `counter`",
            field="interval",
        )
    several = query.by is not None
    count = max(1, min(query.limit, CELLS_MAX // width)) if several else 1
    statement = text(_sql("minutes" if minutes else "hours", counters, several=several)).bindparams(
        bindparam("edges", starts, ARRAY(TIMESTAMP(timezone=True))),
        scope=SCOPES[by],
        names=list(names),
        any=not names,
        after=after,
        count=count,
        first=starts[0],
        last=last,
    )
    rows = await store.read(query.organization, statement, COMPUTING)
    _check_devices(query, rows)
    items = [
        _item(name if several else None, list(group), counters, len(starts))
        for name, group in groupby((row for row in rows if row.name is not None), lambda row: row.name)
    ]
    more = several and len(items) > count
    shown = items[:count] if several else (items or [_item(None, [], counters, len(starts))])
    return StatsPage(
        start=starts[0],
        end=last.astimezone(UTC),
        interval=query.interval,
        by=query.by,
        timestamps=starts,
        items=shown,
        next_cursor=cursors.encode(_KIND, query.organization, first, last, shown[-1].id or "")
        if more
        else None,
    )


def _names(query: GetStats) -> tuple[By | None, tuple[str, ...]]:
    """What is counted apart, or named, and which of them."""
    given: dict[By, tuple[str, ...]] = {
        "integration": query.integration_id,
        "device": query.device_id,
        "credential": query.credential_id,
    }
    named = [kind for kind, names in given.items() if names]
    kinds = {*named, *([query.by] if query.by else [])}
    if len(kinds) > 1:
        raise Refused(
            "request.invalid",
            "counters are kept by integration, by device and by credential, not by two of them together",
            field="by",
        )
    kind = next(iter(kinds), None)
    return kind, given[kind] if kind is not None else ()


def _asked(query: GetStats, now: datetime) -> tuple[datetime, datetime, str]:
    """From when to when, behind which name: a cursor holds all of it, so that pages have the same times."""
    if query.cursor is None:
        last = query.to or now
        return query.from_ or last - DEFAULT_SPAN, last, ""
    first, last, after = cursors.decode(_KIND, query.organization, query.cursor, datetime, datetime, str)
    return first, last, after


def _by_minute(interval: Interval, by: By | None, gone: bool) -> bool:
    """Whether it takes minutes. Refused where there are none."""
    smallest = MINUTE if by in BY_MINUTE and not gone else HOUR
    length = timedelta(seconds=interval.count) if interval.unit == "second" else HOUR
    if length % smallest:
        kept = "by the minute" if smallest == MINUTE else "by the hour"
        raise Refused(
            "request.invalid",
            f"this is counted {kept}{' at that time' if gone and by in BY_MINUTE else ''}: an interval is whole ones",
            field="interval",
            smallest_interval="1m" if smallest == MINUTE else "1h",
        )
    return bool(length % HOUR)


def _starts(interval: Interval, first: datetime, last: datetime, whole: timedelta) -> list[datetime]:
    """Refused("request.invalid") where they are too many, with the smallest interval that is counted and allowed."""
    try:
        return intervals.buckets(interval, _UTC, first, last)
    except Refused as refused:
        if "smallest_interval" not in refused.extra:
            raise
        smallest = intervals.parse(refused.extra["smallest_interval"])
        if smallest.unit != "second":
            raise
        count = -(-smallest.count // int(whole.total_seconds()))
        named = f"{count}{'m' if whole == MINUTE else 'h'}"
        raise Refused(
            refused.code,
            f"at most {intervals.BUCKETS_MAX:,} intervals: the smallest for these times is {named}",
            field=refused.field,
            smallest_interval=named,
        ) from refused


def _sql(tier: str, counters: Sequence[Counter], *, several: bool) -> str:
    """Rows of a name (empty: all together), a bucket and its sums; one without a name where there is nothing."""
    name = "name" if several else "''"

    def part(table: str, held: frozenset[str]) -> str:
        columns = ", ".join(counter if counter in held else f"0 AS {counter}" for counter in counters)
        return (
            f"SELECT {name} AS name, time, {columns} FROM {table}_{tier} WHERE scope = :scope"  # noqa: S608
            " AND time >= :first AND time < :last AND (:any OR name = ANY (CAST(:names AS text[])))"
        )

    sums = ", ".join(f"sum({counter})::bigint AS {counter}" for counter in counters)
    return f"""
WITH counted AS MATERIALIZED (
    {part("message", _OF_MESSAGES)}
    UNION ALL
    {part("activity", _OF_ACTIVITY)}
), shown AS MATERIALIZED (
    SELECT DISTINCT name FROM counted WHERE name >= :after AND (name > :after OR name = '')
    ORDER BY name LIMIT :count + 1
), known AS (
    SELECT array(SELECT name FROM devices WHERE :scope = 2 AND first_seen IS NOT NULL
        AND name = ANY (CAST(:names AS text[]))) AS names
)
SELECT k.names AS known, f.* FROM known k LEFT JOIN (
    SELECT name, width_bucket(time, :edges) - 1 AS bucket, {sums}
    FROM counted JOIN shown USING (name) GROUP BY 1, 2
) f ON true ORDER BY f.name, f.bucket"""  # noqa: S608  # names of our own


def _check_devices(query: GetStats, rows: Sequence[Row[Any]]) -> None:
    if set(query.device_id) - set(rows[0].known):
        raise Refused("not_found", "no such device")


def _item(name: str | None, rows: Sequence[Row[Any]], counters: Sequence[Counter], count: int) -> Stats:
    values: dict[Counter, list[int]] = {counter: [0] * count for counter in counters}
    for row in rows:
        for counter in counters:
            values[counter][row.bucket] = getattr(row, counter)
    return Stats(id=name, totals={counter: sum(held) for counter, held in values.items()}, values=values)
