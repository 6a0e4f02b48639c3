"""The one statement behind series: which series, their buckets, and what each bucket comes to.

Numbers beyond 2^53 stand exactly in `others` (with the nearest double in `numbers`), so that sums and extremes have
two parts: of the doubles, and of the decimals.

A bucket is put together of pieces: roll-ups where there are any that hold just what the samples say, and samples for
hours that are dirty and for what is left of a span at either end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from contracts.series import Aggregate
from services.telemetry.queries.tiers import Tier

PERCENTILES: dict[Aggregate, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_ENDS = {"first": "ASC", "last": "DESC"}

_SERIES = """
WITH known AS MATERIALIZED (
    SELECT name FROM devices WHERE name = ANY (CAST(:devices AS text[])) AND first_seen IS NOT NULL
), more AS MATERIALIZED (
    SELECT held.device, held.metric, d.name AS device_name, m.name AS metric_name
    FROM device_metrics held JOIN devices d ON d.id = held.device JOIN metrics m ON m.id = held.metric
    WHERE held.day >= CAST(:day AS date)
        AND (held.device, held.metric) > (CAST(:after_device AS integer), CAST(:after_metric AS integer))
        {filters}
    ORDER BY held.device, held.metric
    LIMIT CAST(:count AS integer) + 1
), series AS MATERIALIZED (
    SELECT * FROM more ORDER BY device, metric LIMIT CAST(:count AS integer)
), {ranges} raw AS (
    SELECT said.device, said.metric, said.bucket, {columns}
    FROM {readings} said
    WHERE said.number IS NOT NULL OR said.other IS NOT NULL
    GROUP BY 1, 2, 3
), pieces AS (
    {pieces}
){points}
SELECT ARRAY (SELECT name FROM known) AS known, (SELECT count(*) FROM more) AS found,
    hybridmq_raw_since() AS raw_since, hybridmq_minutes_since() AS minutes_since,
    {gone_raw} AS raw_gone, {gone_minutes} AS minutes_gone,
    series.*, points.bucket, {shown}
FROM (SELECT 1) one
    LEFT JOIN series ON true
    LEFT JOIN {source} points ON points.device = series.device AND points.metric = series.metric
ORDER BY series.device, series.metric, points.bucket
"""

# What of a span is only in roll-ups by the hour: whether anything is missed there.
_GONE = """EXISTS (
        SELECT FROM unnest(CAST(:{needed}_from AS timestamptz[]), CAST(:{needed}_to AS timestamptz[])) AS need (a, b)
            JOIN rollups_1h r ON r.time >= date_trunc('hour', need.a, 'UTC') AND r.time < least(need.b, {since}())
        WHERE r.device = ANY (ARRAY (SELECT device FROM series)) AND r.metric = ANY (ARRAY (SELECT metric FROM series))
    )"""

# OFFSET 0: the number is looked for once for all of its aggregates. Measured, a million samples, avg, min and max: a
# third of the time.
_READING = """
        SELECT s.device, {metric} AS metric, s.time, {bucket} AS bucket,
            s.numbers[array_position(s.metrics, {metric})] AS number,
            CASE WHEN s.others IS NOT NULL THEN s.others -> CAST({metric} AS text) END AS other
        FROM samples s {metrics}
        WHERE {where} {sources}
        OFFSET 0
"""
_EVERYWHERE = "s.device = ANY (ARRAY (SELECT device FROM series)) AND s.time >= :first AND s.time < :last"
_IN_RANGE = "s.device = ranges.device AND s.time >= ranges.starts AND s.time < ranges.ends"

# Hours from which samples are taken; below what is kept nothing is computed again, and nothing is dirty.
_RANGES = """dirty AS MATERIALIZED (
    SELECT device, hour FROM dirty_hours
    WHERE device = ANY (ARRAY (SELECT device FROM series)) AND hour < :last
        AND hour >= greatest(date_trunc('hour', CAST(:first AS timestamptz), 'UTC'), hybridmq_raw_since())
), dirty_day AS MATERIALIZED (
    SELECT device, date_trunc('day', hour, 'UTC') AS day FROM dirty
    UNION SELECT device, day FROM dirty_days
    WHERE device = ANY (ARRAY (SELECT device FROM series)) AND day < :last AND day >= CAST(:first AS timestamptz)
), ranges AS MATERIALIZED (
    SELECT device, greatest(hour, :first) AS starts, least(hour + interval '1 hour', :last) AS ends FROM dirty
    UNION ALL
    SELECT one.device, ends.starts, ends.ends
    FROM (SELECT DISTINCT device FROM series) one,
        (VALUES (CAST(:first AS timestamptz), CAST(:minutes_from AS timestamptz)),
            (CAST(:minutes_to AS timestamptz), CAST(:last AS timestamptz))) AS ends (starts, ends)
    WHERE ends.starts < ends.ends
        AND (one.device, date_trunc('hour', ends.starts, 'UTC')) NOT IN (SELECT device, hour FROM dirty)
),"""
_CLEAN_HOUR = "(r.device, date_trunc('hour', r.time, 'UTC')) NOT IN (SELECT device, hour FROM dirty)"
_DAY_DIRTY = "(r.device, date_trunc('day', r.time, 'UTC')) IN (SELECT device, day FROM dirty_day)"
# Each tier takes what the next longer one does not.
_WHERE: dict[Tier, str] = {"1d": f"NOT {_DAY_DIRTY}", "1h": _CLEAN_HOUR, "1m": _CLEAN_HOUR}
_BESIDE: dict[Tier, str] = {
    "1d": f"(r.time < :days_from OR r.time >= :days_to OR {_DAY_DIRTY})",
    "1h": "(r.time < :hours_from OR r.time >= :hours_to)",
}
_NAMES: dict[Tier, str] = {"1d": "days", "1h": "hours", "1m": "minutes"}

_END = """LEFT JOIN LATERAL (
        SELECT s.numbers[array_position(s.metrics, raw.metric)] AS number,
            s.others -> CAST(raw.metric AS text) AS other FROM samples s
        WHERE s.device = raw.device AND s.time = raw.{end}_time
            AND s.time >= :first AND s.time < :last {sources} AND raw.metric = ANY (s.metrics)
        ORDER BY s.sequence {order}, s.epoch {order}, s.position {order} LIMIT 1
    ) {end} ON true"""

_DECIMAL = "CASE WHEN jsonb_typeof(said.other) = 'number' THEN CAST(said.other AS numeric) END"
# Every number as a decimal: for sums that doubles do not hold. By text, which says a double exactly.
_ALL_DECIMAL = (
    f"CASE WHEN said.other IS NOT NULL THEN {_DECIMAL} ELSE CAST(CAST(said.number AS text) AS numeric) END"
)
_ROLLED_DECIMAL = (
    "CASE WHEN r.sum IS NULL THEN r.sum_exact"
    " ELSE CAST(CAST(r.sum AS text) AS numeric) + coalesce(r.sum_exact, 0) END"
)


def statement(
    aggregates: Collection[Aggregate],
    *,
    by_device: bool,
    metrics: int,
    by_source: bool,
    uniform: bool,
    exactly: bool,
    tiers: Sequence[Tier] = (),
) -> str:
    """SQL with :devices, :metrics, :day, :after_device, :after_metric, :count, :first, :last, and either :step and
    :origin or :edges; :sources where it is by source; :raw_from and :raw_to, arrays of spans that samples are needed
    for; with `tiers`, the shortest first, :minutes_from and :minutes_to (whole minutes), :hours_from…, and such arrays
    for minutes.

    Rows: `known` devices, how many series were `found` (one more than :count: there is a next page), `raw_since` and
    whether something that is needed is `raw_gone`…, a series and a bucket with `n` (of all values), `numbers` (how many
    are numbers), `sum`, `min`, `max` of doubles, `sum_exact`… of decimals, `percentiles`, `first`, `first_other`…
    """
    filters = ""
    if by_device:
        filters += " AND d.name = ANY (CAST(:devices AS text[]))"
    if metrics:
        filters += " AND m.name = ANY (CAST(:metrics AS text[]))"
    sources = "AND s.source = ANY (CAST(:sources AS text[]))" if by_source else ""
    # One metric is a constant to the scan; several are looked for in each sample.
    reading = _READING.format(
        metric="(SELECT min(metric) FROM series)" if metrics == 1 else "wanted.metric",
        metrics=""
        if metrics == 1
        else "CROSS JOIN unnest(ARRAY (SELECT DISTINCT metric FROM series)) AS wanted (metric)",
        bucket=_bucket("s.time", uniform=uniform),
        where=_IN_RANGE if tiers else _EVERYWHERE,
        sources=sources,
    )
    columns = _columns(aggregates, exactly=exactly)
    ends = [end for end in _ENDS if end in aggregates]
    pieces = [_raw_piece(columns, ends, sources)]
    pieces += [_rolled_piece(tier, tiers, columns, ends, uniform=uniform, exactly=exactly) for tier in tiers]
    shown = [f"points.{name}" for name in columns if not name.endswith("_time")]
    shown += [f"points.{end}, CAST(points.{end}_other AS text) AS {end}_other" for end in ends]
    return _SERIES.format(
        filters=filters,
        ranges=_RANGES if tiers else "",
        readings=f"ranges CROSS JOIN LATERAL ({reading})" if tiers else f"({reading})",
        columns=", ".join(f"{sql} AS {name}" for name, sql in columns.items()),
        pieces="\n    UNION ALL\n    ".join(pieces),
        points=f", points AS (\n    {_together(columns, ends)}\n)" if tiers else "",
        source="points" if tiers else "pieces",
        gone_raw=_GONE.format(needed="raw", since="hybridmq_raw_since"),
        gone_minutes=_GONE.format(needed="minutes_needed", since="hybridmq_minutes_since")
        if tiers
        else "false",
        shown=", ".join(shown),
    )


def _bucket(time: str, *, uniform: bool) -> str:
    if uniform:
        return f"date_bin(CAST(:step AS interval), {time}, CAST(:origin AS timestamptz))"
    return f"width_bucket({time}, CAST(:edges AS timestamptz[])) - 1"


def _columns(aggregates: Collection[Aggregate], *, exactly: bool) -> dict[str, str]:
    """Of samples, by name."""
    columns = {"n": "count(*)", "numbers": "count(said.number)"}
    wanted = set(aggregates)
    if wanted & {"avg", "sum"}:
        columns["sum"] = (
            "CAST(NULL AS float8)" if exactly else "sum(said.number) FILTER (WHERE said.other IS NULL)"
        )
        columns["sum_exact"] = (
            f"sum({_ALL_DECIMAL})" if exactly else f"sum({_DECIMAL}) FILTER (WHERE said.other IS NOT NULL)"
        )
    for extreme in ("min", "max"):
        if extreme in wanted:
            columns[extreme] = f"{extreme}(said.number) FILTER (WHERE said.other IS NULL)"
            columns[f"{extreme}_exact"] = f"{extreme}({_DECIMAL}) FILTER (WHERE said.other IS NOT NULL)"
    if wanted & PERCENTILES.keys():
        fractions = ", ".join(str(fraction) for fraction in PERCENTILES.values())
        columns["percentiles"] = (
            f"percentile_cont(CAST(ARRAY[{fractions}] AS float8[])) WITHIN GROUP (ORDER BY said.number)"
        )
    for end, extreme in (("first", "min"), ("last", "max")):
        if end in wanted:
            columns[f"{end}_time"] = f"{extreme}(said.time)"
    return columns


def _raw_piece(columns: Collection[str], ends: Sequence[str], sources: str) -> str:
    said = [f"{end}.number AS {end}, {end}.other AS {end}_other" for end in ends]
    listed = ", ".join([*(f"raw.{name}" for name in columns), *said])
    joins = "\n    ".join(_END.format(end=end, order=_ENDS[end], sources=sources) for end in ends)
    return f"SELECT raw.device, raw.metric, raw.bucket, {listed}\n    FROM raw {joins}"  # noqa: S608  # names of our own


def _rolled_piece(
    tier: Tier,
    tiers: Sequence[Tier],
    columns: Collection[str],
    ends: Sequence[str],
    *,
    uniform: bool,
    exactly: bool,
) -> str:
    """Spans do not overlap: their beginnings say which is the first and the last."""
    own = {f"{end}_time": "r.time" for end in ends}
    if exactly:
        own |= {"sum": "CAST(NULL AS float8)", "sum_exact": _ROLLED_DECIMAL}
    said = [f"r.{end}, r.{end}_other" for end in ends]
    listed = ", ".join([*(own.get(name, f"r.{name}") for name in columns), *said])
    longer = tiers[tiers.index(tier) + 1 :][:1]
    beside = f"AND {_BESIDE[longer[0]]}" if longer else ""
    return f"""SELECT r.device, r.metric, {_bucket("r.time", uniform=uniform)}, {listed}
    FROM rollups_{tier} r
    WHERE r.device = ANY (ARRAY (SELECT device FROM series)) AND r.metric = ANY (ARRAY (SELECT metric FROM series))
        AND r.time >= :{_NAMES[tier]}_from AND r.time < :{_NAMES[tier]}_to AND {_WHERE[tier]} {beside}"""  # noqa: S608


def _together(columns: Collection[str], ends: Sequence[str]) -> str:
    made = [
        f"min({name}) AS {name}"
        if name.startswith(("min", "first"))
        else f"max({name}) AS {name}"
        if name.startswith(("max", "last"))
        else f"CAST(sum({name}) AS bigint) AS {name}"
        if name in ("n", "numbers")
        else f"sum({name}) AS {name}"
        for name in columns
    ]
    for end in ends:
        order = f"ORDER BY {end}_time {_ENDS[end]}"
        made += [f"(array_agg({name} {order}))[1] AS {name}" for name in (end, f"{end}_other")]
    return f"SELECT device, metric, bucket, {', '.join(made)} FROM pieces GROUP BY 1, 2, 3"  # noqa: S608
