"""A page of an export from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from contracts.exports import PAGE_BYTES_MAX, ROWS_MAX, ROWS_MIN, ExportPage
from contracts.failures import Refused


def gathered(rows: Sequence[Row[Any]], asked: int) -> tuple[ExportPage, bytes]:
    """Of rows with `number`, `position` and `lines` (None: not wanted): what fits; no more rows, no next page."""
    parts: list[bytes] = []
    size, last = 0, None
    for row in rows:
        lines = (row.lines or "").encode()
        size += len(lines)
        if size > PAGE_BYTES_MAX:
            if last is None:
                raise Refused("request.too_large", "a sample is too large for one line: ask for `shape=long`")
            break
        parts.append(lines)
        last = row
    if last is None:
        return ExportPage(position=None, rows=asked), b""
    # All that were looked at fitted: more of them may; else as many as did, and some.
    more = 2 * asked if last.number == asked else last.number + last.number // 10
    rows_next = max(ROWS_MIN, min(ROWS_MAX, more))
    return ExportPage(position=last.position, rows=rows_next), b"".join(parts)
