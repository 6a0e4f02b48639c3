"""What another decoder changes: readings of the same messages beside each other; pure."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from contracts.telemetry import Value
from services.telemetry.decoding import SampleRow
from services.telemetry.queries.telemetry import number


class Key(NamedTuple):
    """A reading of a message; `turn` tells those of one device and metric in one message apart."""

    sequence: int
    device: Hashable
    metric: Hashable
    turn: int


class Then(NamedTuple):
    """`kind` is the value's: True is not 1."""

    kind: str
    value: Value
    unit: str | None
    time: datetime


Readings = dict[Key, Then]


class Difference(NamedTuple):
    added: list[Key]
    removed: list[Key]
    changed: list[Key]
    unchanged: int


def compare(before: Readings, after: Readings) -> Difference:
    added = [key for key in after if key not in before]
    removed = [key for key in before if key not in after]
    both = [key for key in after if key in before]
    changed = [key for key in both if before[key] != after[key]]
    return Difference(added, removed, changed, len(both) - len(changed))


def stored_readings(rows: Iterable[Any]) -> Readings:
    """Of rows of `samples`, by the numbers of device and metric, in the order of their positions."""
    found: Readings = {}
    for row in rows:
        others = _loaded(row["others"])
        units = _loaded(row["units"])
        for metric, value in zip(row["metrics"], row["numbers"], strict=True):
            other = others.get(str(metric))
            said = _value(value if other is None else other)
            _put(
                found,
                row["sequence"],
                row["device"],
                metric,
                Then(*said, units.get(str(metric)), row["time"]),
            )
    return found


def decoded_readings(rows: Iterable[tuple[SampleRow, Hashable, Iterable[Hashable]]]) -> Readings:
    """Of decoded samples, each with what stands for its device and its metrics."""
    found: Readings = {}
    for row, device, metrics in rows:
        others, units = row.others or {}, row.units or {}
        for at, (metric, value) in enumerate(zip(metrics, row.numbers, strict=True)):
            said = _value(others.get(at, value))
            _put(found, row.sequence, device, metric, Then(*said, units.get(at), row.time))
    return found


def _put(found: Readings, sequence: int, device: Hashable, metric: Hashable, then: Then) -> None:
    key = Key(sequence, device, metric, 0)
    while key in found:
        key = key._replace(turn=key.turn + 1)
    found[key] = then


def _value(value: Any) -> tuple[str, Value]:
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, str):
        return "text", value
    return "number", number(float(value)) if isinstance(value, float) else value


def _loaded(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value) if value else {}
    return found
