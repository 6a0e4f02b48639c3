"""Names, units, scale and offset of single metrics, compiled into one table."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from typing import Any, NamedTuple

from contracts.decoders.flatten import number_in
from contracts.decoders.limits import INT_MAX, INT_MIN
from contracts.decoders.model import Reading, Value
from contracts.failures import Unprocessable


class Change(NamedTuple):
    name: str
    unit: str | None
    factor: float | None  # None where the number stays as it is
    divides: bool  # by `factor`: 3 / 10 is 0.3, and 3 × 0.1 is not
    offset: float


Mapping = dict[str, Change]
"""By the device's name."""


def mapping(
    renames: Table[str, str], units: Table[str, str], scale: Table[str, float], offset: Table[str, float]
) -> Mapping:
    """Units, scale and offset go by the new name, or by the device's where that is no other's new name.

    ValueError where two entries are about one metric.
    """
    devices_names: dict[str, list[str]] = {}  # by the new one
    for old, new in renames.items():
        devices_names.setdefault(new, [] if new in renames else [new]).append(old)
    changes: dict[str, dict[str, Any]] = {}
    for setting, table in (("unit", units), ("scale", scale), ("offset", offset)):
        for name, value in table.items():
            for source in devices_names.get(name, [name]):
                if setting in changes.setdefault(source, {}):
                    raise ValueError(f"{setting}: {source!r} and {renames[source]!r} are one metric")
                changes[source][setting] = value
    return {
        source: _change(renames.get(source, source), **changes.get(source, {}))
        for source in {*renames, *changes}
    }


def _change(name: str, unit: str | None = None, scale: float | None = None, offset: float = 0.0) -> Change:
    if scale is None:
        return Change(name, unit, 1 if offset else None, False, _whole(offset))
    inverse = round(1 / scale) if abs(scale) < 1 else 0
    if inverse and 1 / inverse == scale:
        return Change(name, unit, inverse, True, _whole(offset))
    return Change(name, unit, _whole(scale), False, _whole(offset))


def _whole(number: float) -> float | int:
    """A whole number stays whole, and so do whole readings."""
    return int(number) if float(number).is_integer() and abs(number) <= INT_MAX else number


def apply(readings: list[Reading], changes: Mapping) -> None:
    """In place; texts that are no numbers and booleans keep their value."""
    get: Callable[[str], Change | None] = changes.get
    for at, (metric, value, unit) in enumerate(readings):
        change = get(metric)
        if change is not None:
            if change.factor is not None and type(value) is not bool:
                value = _scaled(metric, value, change)
            readings[at] = Reading(change.name, value, change.unit or unit)


def _scaled(metric: str, value: Value, change: Change) -> Value:
    if isinstance(value, str):
        number = number_in(metric, value)
        if number is None:
            return value
        value = number
    assert change.factor is not None
    try:
        result = (value / change.factor if change.divides else value * change.factor) + change.offset
    except OverflowError:
        result = float("inf")
    if type(result) is int:
        if INT_MIN <= result <= INT_MAX:
            return result
        result = float(result)
    if result - result != 0:
        raise Unprocessable(
            "value.not_finite", "scaled, the number lies beyond a double's range", field=metric[:80]
        )
    return result
