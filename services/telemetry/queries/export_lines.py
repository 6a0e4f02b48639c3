"""Cells and lines of a file as SQL: PostgreSQL writes them, not the event loop.

CSV is RFC 4180's. A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV
Injection"): devices, topics and texts are said by whoever sends. Numbers stay as they are.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["text", "time", "plain", "json"]  # plain: a number or a boolean, the same in CSV and JSON
Cells = dict[str, tuple[str, Kind]]
"""Expressions by the name of the column."""
_FORMULA = r"'^[-=+@\t\r\n]'"
_SPECIAL = r"""'[",\r\n]'"""
_END = {"csv": r"E'\r\n'", "parquet": r"E'\r\n'", "ndjson": r"E'\n'"}


def stamp(time: str) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return f"""to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def quoted(text: str) -> str:
    """In quotes, and quotes doubled: an empty one too, which tells it from none."""
    return f"""('"' || replace({text}, '"', '""') || '"')"""


def csv_text(text: str) -> str:
    """Safe for spreadsheets, in quotes where it must be."""
    safe = f"(CASE WHEN {text} ~ {_FORMULA} THEN '''' || {text} ELSE {text} END)"
    return f"(CASE WHEN {text} ~ {_SPECIAL} THEN {quoted(safe)} ELSE {safe} END)"


def text_cell(text: str, format: str) -> str:
    """Of a text that is not NULL."""
    if format == "ndjson":
        return f"to_json({text})::text"
    return quoted(text) if format == "parquet" else csv_text(text)


def cell(value: str, kind: Kind, format: str) -> str:
    """NULL is `null` in JSON, and nothing at all in CSV."""
    none = "'null'" if format == "ndjson" else "''"
    if kind == "time":
        return f"""'"' || {stamp(value)} || '"'""" if format == "ndjson" else stamp(value)
    if kind == "plain" or (kind == "json" and format == "ndjson"):
        return f"coalesce(({value})::text, {none})"
    text = f"({value})::text" if kind == "json" else f"({value})"
    return f"coalesce({text_cell(text, format)}, {none})"


def joined(cells: Cells, format: str) -> str:
    """The cells of a line, or of a part of one, with what stands between them."""
    parts = [
        (f"""'"{name}":' || """ if format == "ndjson" else "") + cell(value, kind, format)
        for name, (value, kind) in cells.items()
    ]
    return " || ',' || ".join(parts)


def line(parts: str, position: str, format: str) -> str:
    """A whole line of these parts; its position is its last cell."""
    if format == "ndjson":
        return f"""'{{' || {parts} || ',"cursor":"' || {position} || '"}}' || {_END[format]}"""
    return f"{parts} || ',' || {position} || {_END[format]}"


def position(mark: str, time: str, *others: str) -> str:
    """As `positions` reads it: whose it is; microseconds since 1970 and integers, hexadecimal."""
    micros = f"to_hex((extract(epoch FROM {time}) * 1000000)::bigint)"
    return " || '.' || ".join([mark, micros, *(f"to_hex({other}::bigint)" for other in others)])
