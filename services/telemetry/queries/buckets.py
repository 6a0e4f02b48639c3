"""From a bucket's row to its values, and what stands in gaps: pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from contracts.series import Aggregate, Fill
from contracts.telemetry import Value
from services.telemetry.queries.series_sql import PERCENTILES
from services.telemetry.queries.telemetry import number

_PLACES = {aggregate: place for place, aggregate in enumerate(PERCENTILES)}


def value_of(row: Any, aggregate: Aggregate) -> Value | None:
    """None where the bucket has no number to compute it of."""
    if aggregate == "avg":
        total = _total(row)
        return None if total is None or not row.numbers else number(float(total / row.numbers))
    if aggregate == "sum":
        total = _total(row)
        return None if total is None else _plain(total)
    if aggregate in ("min", "max"):
        held = [
            value
            for value in (getattr(row, aggregate), getattr(row, f"{aggregate}_exact"))
            if value is not None
        ]
        if not held:
            return None
        return _plain(min(held) if aggregate == "min" else max(held))
    if aggregate in ("first", "last"):
        return said(getattr(row, aggregate), getattr(row, f"{aggregate}_other"))
    found = row.percentiles and row.percentiles[_PLACES[aggregate]]
    return number(found) if found is not None and math.isfinite(found) else None


def said(held: float | None, other: str | None) -> Value | None:
    """As the device said it; `other` is JSON, and exact where `held` is not."""
    if other is not None:
        value: Value = json.loads(other)
        return value
    return None if held is None else number(held)


def _total(row: Any) -> float | Fraction | None:
    if row.sum_exact is None:
        held: float | None = row.sum
        return held
    return Fraction(row.sum_exact) + (0 if row.sum is None else Fraction(row.sum))


def _plain(value: float | Decimal | Fraction) -> float | int:
    if isinstance(value, float):
        return number(value)
    if value == int(value):
        return int(value)
    return float(value)


def filled(values: list[Value | None], fill: Fill, starts: Sequence[datetime]) -> list[Value | None]:
    """`previous`: a gap has what stands before it. `linear`: what lies on the line between the numbers around it.

    Before the first value both leave the gap, and after the last one `linear` does."""
    if fill == "none":
        return values
    made = list(values)
    last: int | None = None  # the last place with a value
    for at, value in enumerate(values):
        if value is None:
            if fill == "previous" and last is not None:
                made[at] = values[last]
            continue
        if fill == "linear" and last is not None and at - last > 1:
            _line(made, last, at, starts)
        last = at
    return made


def _line(values: list[Value | None], first: int, last: int, starts: Sequence[datetime]) -> None:
    a, b = values[first], values[last]
    if isinstance(a, (bool, str)) or isinstance(b, (bool, str)) or a is None or b is None:
        return
    begin, whole = starts[first], starts[last] - starts[first]
    try:
        a, b = float(a), float(b)
    except OverflowError:  # a sum that no double holds
        return
    for at in range(first + 1, last):
        part = (starts[at] - begin) / whole
        values[at] = number(a * (1 - part) + b * part)
