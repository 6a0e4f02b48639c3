"""SQL that computes roll-ups: of samples by minute, of minutes by hour, of hours by day; never a row at a time.

Sums stay exact for whole numbers: doubles hold those below 2^53, so what could pass that is summed as decimals.
"""

from __future__ import annotations

COLUMNS = (
    "time, last_at, organization, device, metric, n, numbers, sum, min, max, first, last,"
    " sum_exact, min_exact, max_exact, first_other, last_other"
)
# 2^36 times the 2^17 samples that a minute may have of one device: below it doubles add whole numbers exactly.
_LARGE = "68719476736"
EXACT = "9007199254740992"

# $1 devices, $2 and $3 the hour's beginning and end. Unnested beside the other columns: as a join it costs twice as
# much. OFFSET 0: what is looked for in a reading is looked for once.
MINUTES = f"""
INSERT INTO rollups_1m ({COLUMNS})
WITH points AS (
    SELECT minute, any_value(organization) AS organization, device, metric, count(*) AS n, count(number) AS numbers,
        min(time) AS first_at, max(time) AS last_at,
        sum(number) FILTER (WHERE decimal IS NULL) AS sum,
        sum(decimal) FILTER (WHERE decimal IS NOT NULL) AS sum_exact,
        min(number) FILTER (WHERE other IS NULL) AS min, max(number) FILTER (WHERE other IS NULL) AS max,
        min(decimal) FILTER (WHERE other IS NOT NULL) AS min_exact,
        max(decimal) FILTER (WHERE other IS NOT NULL) AS max_exact,
        any_value(number) AS only, any_value(other) AS only_other
    FROM (
        SELECT *, CASE WHEN other IS NOT NULL
                THEN CASE WHEN jsonb_typeof(other) = 'number' THEN other::text::numeric END
                WHEN abs(number) >= {_LARGE} THEN number::text::numeric END AS decimal
        FROM (
            SELECT minute, organization, device, metric, time, number,
                CASE WHEN others IS NOT NULL THEN others -> metric::text END AS other
            FROM (
                SELECT date_bin('1 minute', s.time, timestamptz 'epoch') AS minute, s.organization, s.device, s.time,
                    s.others, unnest(s.metrics) AS metric, unnest(s.numbers) AS number
                FROM samples s
                WHERE s.device = ANY ($1::int[]) AND s.time >= $2 AND s.time < $3
            ) one
            OFFSET 0
        ) said
        OFFSET 0
    ) readings
    GROUP BY minute, device, metric
)
SELECT p.minute, p.last_at, p.organization, p.device, p.metric, p.n, p.numbers, p.sum, p.min, p.max,
    CASE WHEN p.n = 1 THEN p.only ELSE first.number END, CASE WHEN p.n = 1 THEN p.only ELSE last.number END,
    p.sum_exact, p.min_exact, p.max_exact,
    CASE WHEN p.n = 1 THEN p.only_other ELSE first.other END, CASE WHEN p.n = 1 THEN p.only_other ELSE last.other END
FROM points p
    LEFT JOIN LATERAL (
        SELECT s.numbers[array_position(s.metrics, p.metric)] AS number, s.others -> p.metric::text AS other
        FROM samples s
        WHERE p.n > 1 AND s.device = p.device AND s.time = p.first_at AND p.metric = ANY (s.metrics)
        ORDER BY s.sequence, s.epoch, s.position LIMIT 1
    ) first ON true
    LEFT JOIN LATERAL (
        SELECT s.numbers[array_position(s.metrics, p.metric)] AS number, s.others -> p.metric::text AS other
        FROM samples s
        WHERE p.n > 1 AND s.device = p.device AND s.time = p.last_at AND p.metric = ANY (s.metrics)
        ORDER BY s.sequence DESC, s.epoch DESC, s.position DESC LIMIT 1
    ) last ON true
"""  # noqa: S608  # names and numbers of our own

# $1 devices, $2 and $3 the beginning and end of the longer span.
_COARSER = """
INSERT INTO {longer} ({columns})
SELECT $2, max(last_at), organization, device, metric, sum(n), sum(numbers),
    CASE WHEN abs(sum(sum)) > {exact} THEN NULL ELSE sum(sum) END, min(min), max(max),
    (array_agg(first ORDER BY time))[1], (array_agg(last ORDER BY time DESC))[1],
    CASE WHEN abs(sum(sum)) > {exact} THEN sum(sum::text::numeric) + coalesce(sum(sum_exact), 0)
        ELSE sum(sum_exact) END,
    min(min_exact), max(max_exact),
    (array_agg(first_other ORDER BY time))[1], (array_agg(last_other ORDER BY time DESC))[1]
FROM {shorter} WHERE device = ANY ($1::int[]) AND time >= $2 AND time < $3
GROUP BY organization, device, metric
"""


def _coarser(longer: str, shorter: str) -> str:
    return _COARSER.format(longer=longer, shorter=shorter, columns=COLUMNS, exact=EXACT)


HOURS = _coarser("rollups_1h", "rollups_1m")
DAYS = _coarser("rollups_1d", "rollups_1h")
