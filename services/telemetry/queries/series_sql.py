"""The one statement behind series: which series, their buckets, and what each bucket comes to.

Numbers beyond 2^53 stand exactly in `others` (with the nearest double in `numbers`), so that sums and extremes have
two parts: of the doubles, and of the decimals.
"""

from __future__ import annotations

from collections.abc import Collection

from contracts.series import Aggregate

PERCENTILES: dict[Aggregate, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_ENDS = {"first": "ASC", "last": "DESC"}

_NUMBER = "s.numbers[array_position(s.metrics, {metric})]"
_OTHER = "s.others -> CAST({metric} AS text)"
# Whether the double is the value: nearly always nothing stands in `others`, and the rest is not asked.
_PLAIN = "(s.others IS NULL OR s.others -> CAST({metric} AS text) IS NULL)"
_DECIMAL = (
    "CASE WHEN s.others IS NOT NULL AND jsonb_typeof({other}) = 'number' THEN CAST({other} AS numeric) END"
)
# Every number as a decimal: for sums that doubles do not hold. By text, which says a double exactly.
_ALL_DECIMAL = (
    "CASE WHEN s.others IS NOT NULL AND jsonb_typeof({other}) = 'number' THEN CAST({other} AS numeric)"
    " ELSE CAST(CAST({number} AS text) AS numeric) END"
)

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
), points AS (
    SELECT s.device, {metric} AS metric, {bucket} AS bucket, {columns}
    FROM samples s {metrics}
    WHERE s.device = ANY (ARRAY (SELECT device FROM series))
        AND s.time >= :first AND s.time < :last {sources}
        AND {metric} = ANY (s.metrics)
    GROUP BY 1, 2, 3
)
SELECT ARRAY (SELECT name FROM known) AS known, (SELECT count(*) FROM more) AS found,
    series.*, points.bucket, {shown}
FROM (SELECT 1) one
    LEFT JOIN series ON true
    LEFT JOIN points ON points.device = series.device AND points.metric = series.metric
    {ends}
ORDER BY series.device, series.metric, points.bucket
"""

_END = """LEFT JOIN LATERAL (
        SELECT {number} AS number, CAST({other} AS text) AS other FROM samples s
        WHERE s.device = points.device AND s.time = points.{end}_time
            AND s.time >= :first AND s.time < :last {sources} AND points.metric = ANY (s.metrics)
        ORDER BY s.sequence {order}, s.epoch {order}, s.position {order} LIMIT 1
    ) {end} ON true"""


def statement(
    aggregates: Collection[Aggregate],
    *,
    by_device: bool,
    metrics: int,
    by_source: bool,
    uniform: bool,
    exactly: bool,
) -> str:
    """SQL with :devices, :metrics, :day, :after_device, :after_metric, :count, :first, :last, and either :step and
    :origin or :edges; :sources where it is by source.

    Rows: `known` devices, how many series were `found` (one more than :count: there is a next page), a series and a
    bucket with `n` (of all values), `numbers` (how many are numbers), `sum`, `min`, `max` of doubles, `sum_exact`… of
    decimals, `percentiles`, `first`, `first_other`…
    """
    filters = ""
    if by_device:
        filters += " AND d.name = ANY (CAST(:devices AS text[]))"
    if metrics:
        filters += " AND m.name = ANY (CAST(:metrics AS text[]))"
    # One metric is a constant to the scan; several are looked for in each sample.
    metric = "(SELECT min(metric) FROM series)" if metrics == 1 else "wanted.metric"
    sources = "AND s.source = ANY (CAST(:sources AS text[]))" if by_source else ""
    columns = _columns(aggregates, metric, exactly=exactly)
    ends = [end for end in _ENDS if end in aggregates]
    names = ["n", "numbers", *(name for name in columns if not name.endswith("_time"))]
    shown = [f"points.{name}" for name in dict.fromkeys(names)]
    shown += [f"{end}.number AS {end}, {end}.other AS {end}_other" for end in ends]
    return _SERIES.format(
        filters=filters,
        metric=metric,
        metrics=""
        if metrics == 1
        else "CROSS JOIN unnest(ARRAY (SELECT DISTINCT metric FROM series)) AS wanted (metric)",
        bucket=_BIN if uniform else "width_bucket(s.time, CAST(:edges AS timestamptz[])) - 1",
        columns=", ".join(f"{sql} AS {name}" for name, sql in columns.items()),
        sources=sources,
        shown=", ".join(shown),
        ends="\n    ".join(
            _END.format(
                number=_NUMBER.format(metric="points.metric"),
                other=_OTHER.format(metric="points.metric"),
                end=end,
                order=_ENDS[end],
                sources=sources,
            )
            for end in ends
        ),
    )


_BIN = "date_bin(CAST(:step AS interval), s.time, CAST(:origin AS timestamptz))"


def _columns(aggregates: Collection[Aggregate], metric: str, *, exactly: bool) -> dict[str, str]:
    number, other = _NUMBER.format(metric=metric), _OTHER.format(metric=metric)
    plain = _PLAIN.format(metric=metric)
    decimal = (_ALL_DECIMAL if exactly else _DECIMAL).format(number=number, other=other)
    columns = {"n": "count(*)", "numbers": "NULL"}
    wanted = set(aggregates)
    if "avg" in wanted:
        # Not count(number): to look into `others`, which is seldom there, costs less than to find the number again.
        columns["numbers"] = (
            "count(*) - count(*) FILTER (WHERE s.others IS NOT NULL"
            f" AND jsonb_typeof({other}) IN ('boolean', 'string'))"
        )
    if wanted & {"avg", "sum"}:
        columns["sum"] = "CAST(NULL AS float8)" if exactly else f"sum({number}) FILTER (WHERE {plain})"
        columns["sum_exact"] = f"sum({decimal})"
    for extreme in ("min", "max"):
        if extreme in wanted:
            columns[extreme] = f"{extreme}({number}) FILTER (WHERE {plain})"
            columns[f"{extreme}_exact"] = f"{extreme}({_DECIMAL.format(other=other)})"
    if wanted & PERCENTILES.keys():
        fractions = ", ".join(str(fraction) for fraction in PERCENTILES.values())
        columns["percentiles"] = (
            f"percentile_cont(CAST(ARRAY[{fractions}] AS float8[])) WITHIN GROUP (ORDER BY {number})"
        )
    for end, extreme in (("first", "min"), ("last", "max")):
        if end in wanted:
            columns[f"{end}_time"] = f"{extreme}(s.time)"
    return columns
