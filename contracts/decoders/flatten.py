"""From a parsed JSON value to readings with dotted names."""

from __future__ import annotations

import re
from typing import Any

from contracts.decoders.limits import (
    DEPTH_MAX,
    INT_MAX,
    INT_MIN,
    METRIC_CHARS_MAX,
    READINGS_MAX,
    TEXT_CHARS_MAX,
)
from contracts.decoders.model import Reading, Value
from contracts.failures import Unprocessable

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def add(readings: list[Reading], name: str, value: Any, numeric_strings: bool, depth: int = 0) -> None:
    """Append what `value` holds: itself, or each of its values under `<name>.<key>` or `<name>.<index>`.

    null is no reading. A whole number beyond 64 bits becomes the nearest double, as RFC 8259 §6 lets
    every receiver do; one beyond a double's range is refused.
    """
    kind = type(value)
    if kind is float or kind is bool:
        pass
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            value = _double(name, value)
    elif kind is str:
        value = _text(name, value, numeric_strings)
    elif value is None:
        return
    else:
        if depth >= DEPTH_MAX:
            raise Unprocessable("payload.too_deep", f"over {DEPTH_MAX} levels of nesting", field=name[:80])
        for key, inner in value.items() if kind is dict else enumerate(value):
            add(readings, f"{name}.{key}", inner, numeric_strings, depth + 1)
        return
    if not 0 < len(name) <= METRIC_CHARS_MAX:
        raise Unprocessable(
            "metric.invalid", f"a metric name has 1 to {METRIC_CHARS_MAX} characters", field=name[:80]
        )
    if len(readings) >= READINGS_MAX:
        raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one message")
    readings.append(Reading(name, value))


def _text(name: str, value: str, numeric_strings: bool) -> Value:
    if len(value) > TEXT_CHARS_MAX:
        raise Unprocessable(
            "value.too_large", f"a text has at most {TEXT_CHARS_MAX} characters", field=name[:80]
        )
    number = number_in(name, value) if numeric_strings else None
    return value if number is None else number


def number_in(name: str, text: str) -> float | int | None:
    """The number that a (bounded) text of a metric is; None where it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    if text.removeprefix("-").isdigit() and INT_MIN <= int(text) <= INT_MAX:
        return int(text)
    return _double(name, text)


def _double(name: str, value: int | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0:
        raise Unprocessable("value.not_finite", "a number lies beyond a double's range", field=name[:80])
    return number


def check_stored(readings: list[Reading]) -> None:
    """Refuse NUL, which PostgreSQL's text cannot hold."""
    for metric, value, unit in readings:
        if "\0" in metric:
            raise Unprocessable("metric.invalid", "a metric name holds NUL", field=metric[:80])
        if (isinstance(value, str) and "\0" in value) or (unit and "\0" in unit):
            raise Unprocessable("value.invalid", "a text holds NUL", field=metric[:80])


def check_distinct(readings: list[Reading]) -> None:
    """Refuse `{"a.b": 1, "a": {"b": 2}}`: which one is `a.b` would be a guess."""
    seen: set[str] = set()
    for reading in readings:
        if reading.metric in seen:
            raise Unprocessable(
                "metric.ambiguous", "two values come out under one name", field=reading.metric[:80]
            )
        seen.add(reading.metric)
