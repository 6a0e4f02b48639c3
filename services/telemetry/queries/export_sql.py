"""The statement of a page of readings, oldest first.

A page is a stretch of at most `:rows` samples, looked at in the order of an index, whatever the filters leave out: its
work is bounded, and where none is wanted its last sample is still shown, as the place to go on. Of those wanted it
takes the ones that begin within a budget of bytes, by an estimate.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import TextClause, text

from contracts.decoders import REPLACED
from contracts.exports import Format, Shape
from services.telemetry.queries.export_lines import cell, joined, line, position, text_cell

SLICE = 64  # readings of one sample in a row of the answer: a sample with thousands is cut between two pages
BUDGET_BYTES = 640 * 1024  # by the estimate
_LINE_BYTES, _VALUE_BYTES = 120, 40
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_KEY = ("time", "sequence", "epoch", "position")


class Asked(NamedTuple):
    """What decides the statement; all else are its parameters."""

    format: Format
    shape: Shape
    devices: int
    metrics: bool
    sources: bool
    from_: bool
    to: bool
    resumed: bool
    units: bool


@lru_cache(maxsize=256)
def statement(asked: Asked) -> tuple[TextClause, frozenset[str]]:
    """Rows of `lines` (NULL: none of them wanted), `position` and `number`; with the names of its parameters."""
    sql = _sql(asked)
    return text(sql), frozenset(_PARAMETER.findall(sql))


def _sql(asked: Asked) -> str:
    return f"""
WITH chosen AS MATERIALIZED (
    SELECT array_agg(m.id ORDER BY w.at) AS ids FROM unnest(CAST(:metrics AS text[])) WITH ORDINALITY AS w (name, at)
    LEFT JOIN metrics m ON m.name = w.name
), looked_at AS (
    SELECT *, {_wanted(asked)} AS wanted FROM samples WHERE {_within(asked)}
    ORDER BY {", ".join(_KEY)} LIMIT :rows
), weighed AS (
    SELECT *, row_number() OVER w AS number, coalesce(sum(CASE WHEN wanted THEN {_weight(asked)} END)
        OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM looked_at WINDOW w AS (ORDER BY {", ".join(_KEY)})
), shaped AS MATERIALIZED (
    SELECT {", ".join(f"p.{name}" for name in _KEY)}, p.wanted, p.number, p.metrics, p.numbers, p.others, p.units,
        {_before(asked)} AS prefix, {_after(asked)} AS suffix,
        {position("CAST(:mark AS text)", *(f"p.{name}" for name in _KEY))} AS key, {_skip(asked)} AS skip
    FROM weighed p JOIN devices d ON d.id = p.device
    WHERE p.before < {BUDGET_BYTES} AND (p.wanted OR p.number = :rows)
), names AS MATERIALIZED (
    SELECT jsonb_object_agg(id, {text_cell("name", asked.format)}) AS map{_units(asked)}
    FROM metrics WHERE id IN (SELECT DISTINCT unnest(metrics) FROM shaped)
)
{_long(asked) if asked.shape == "long" else _wide(asked)}"""


def _wanted(asked: Asked) -> str:
    filters = ["true"]
    if asked.devices > 1:
        filters.append(
            "device = ANY (ARRAY(SELECT id FROM devices WHERE name = ANY (CAST(:devices AS text[]))))"
        )
    if asked.metrics:
        filters.append("metrics && (SELECT ids FROM chosen)")
    if asked.sources:
        filters.append("source = ANY (CAST(:sources AS text[]))")
    return " AND ".join(filters)


def _within(asked: Asked) -> str:
    bounds = ["true"]
    if asked.devices == 1:  # walks the device's own index
        bounds.append("device = (SELECT id FROM devices WHERE name = :device)")
    if asked.from_:
        bounds.append("time >= :first")
    if asked.to:
        bounds.append("time < :last")
    if asked.resumed:  # said twice: the first lets whole days be left out
        behind = ">=" if asked.shape == "long" else ">"
        bounds += ["time >= :time", f"({', '.join(_KEY)}) {behind} (:time, :sequence, :epoch, :position)"]
    return " AND ".join(bounds)


def _weight(asked: Asked) -> str:
    texts = "CASE WHEN others IS NULL THEN 0 ELSE octet_length(others::text) END"
    count = "cardinality(metrics)"
    if asked.metrics:
        count = f"least({count}, cardinality((SELECT ids FROM chosen)))"
    if asked.shape == "long":
        return f"{count} * ({_LINE_BYTES} + octet_length(topic)) + {texts}"
    return f"{count} * {_VALUE_BYTES} + {_LINE_BYTES} + octet_length(topic) + {texts}"


def _before(asked: Asked) -> str:
    return joined({"timestamp": ("p.time", "time"), "device_id": ("d.name", "text")}, asked.format)


def _after(asked: Asked) -> str:
    return joined(
        {
            "integration_id": ("p.source", "text"),
            "topic": ("p.topic", "text"),
            "time_replaced": (f"p.flags & {REPLACED} <> 0", "plain"),
            "sequence": ("p.sequence", "plain"),
        },
        asked.format,
    )


def _skip(asked: Asked) -> str:
    """How many readings of the sample were shown before."""
    if asked.shape == "wide" or not asked.resumed:
        return "0"
    key = ", ".join(f"p.{name}" for name in _KEY)
    return f"CASE WHEN ({key}) = (:time, :sequence, :epoch, :position) THEN :reading ELSE 0 END"


def _units(asked: Asked) -> str:
    """What people said of metrics, for readings that say no unit."""
    if not asked.units:
        return ""
    said = "(SELECT s.unit FROM unnest(CAST(:unit_names AS text[]), CAST(:units AS text[])) AS s (name, unit)"
    return f", jsonb_object_agg(id, {said} WHERE s.name = metrics.name)) AS units"


def _unit(asked: Asked) -> str:
    own = "CASE WHEN s.units IS NOT NULL THEN s.units ->> one.metric::text END"
    return f"coalesce({own}, n.units ->> one.metric::text)" if asked.units else own


def _value(format: Format) -> str:
    """As it stands in the file; NULL where there is none."""
    other = "(s.others -> one.metric::text)"
    if format == "ndjson":
        held = f"{other}::text"
    else:
        text = text_cell(f"({other} #>> '{{}}')", format)
        held = f"CASE WHEN jsonb_typeof({other}) = 'string' THEN {text} ELSE {other}::text END"
    return f"CASE WHEN s.others IS NULL THEN one.number::text ELSE coalesce({held}, one.number::text) END"


def _reading(asked: Asked) -> str:
    """Metric, value and unit."""
    name = "(n.map ->> one.metric::text)"
    unit = cell(_unit(asked), "text", asked.format)
    if asked.format == "ndjson":
        return f"""'"metric":' || {name} || ',"value":' || {_value("ndjson")} || ',"unit":' || {unit}"""
    if asked.format == "csv":
        return f"{name} || ',' || {_value('csv')} || ',' || {unit}"
    other = "CASE WHEN s.others IS NOT NULL THEN s.others ->> one.metric::text END"
    number, text = cell("one.number", "plain", asked.format), cell(other, "text", asked.format)
    return f"{name} || ',' || {number} || ',' || {text} || ',' || {unit}"


def _long(asked: Asked) -> str:
    parts = f"s.prefix || ',' || {_reading(asked)} || ',' || s.suffix"
    made = line(parts, "s.key || '.' || to_hex(one.at)", asked.format)
    chosen = "AND one.metric = ANY ((SELECT ids FROM chosen)::integer[])" if asked.metrics else ""
    return f"""
SELECT s.number, s.key || '.' || to_hex(least(slice.first + {SLICE}, cardinality(s.metrics))) AS position,
    CASE WHEN s.wanted THEN (
        SELECT string_agg({made}, '' ORDER BY one.at)
        FROM unnest(s.metrics, s.numbers) WITH ORDINALITY AS one (metric, number, at)
        WHERE one.at > slice.first AND one.at <= slice.first + {SLICE} {chosen}
    ) END AS lines
FROM names n, shaped s, generate_series(s.skip, cardinality(s.metrics) - 1, {SLICE}) AS slice (first)
ORDER BY {", ".join(f"s.{name}" for name in _KEY)}, slice.first"""


def _wide(asked: Asked) -> str:
    if asked.format == "ndjson":
        chosen = "WHERE one.metric = ANY ((SELECT ids FROM chosen)::integer[])" if asked.metrics else ""
        name, unit = "(n.map ->> one.metric::text)", _unit(asked)
        made = f"""SELECT '"metrics":{{' || string_agg({name} || ':' || {_value("ndjson")}, ',' ORDER BY one.at)
            || '}},"units":{{' || coalesce(string_agg({name} || ':' || to_json({unit})::text, ',' ORDER BY one.at)
                FILTER (WHERE {unit} IS NOT NULL), '') || '}}'
        FROM unnest(s.metrics, s.numbers) WITH ORDINALITY AS one (metric, number, at) {chosen}"""
    else:
        made = f"""SELECT array_to_string(array_agg({_value(asked.format)} ORDER BY w.at), ',', '')
        FROM unnest((SELECT ids FROM chosen)) WITH ORDINALITY AS w (id, at)
        LEFT JOIN unnest(s.metrics, s.numbers) AS one (metric, number) ON one.metric = w.id"""
    parts = f"s.prefix || ',' || s.suffix || ',' || ({made})"
    return f"""
SELECT s.number, s.key AS position, CASE WHEN s.wanted THEN {line(parts, "s.key", asked.format)} END AS lines
FROM names n, shaped s
ORDER BY {", ".join(f"s.{name}" for name in _KEY)}"""
