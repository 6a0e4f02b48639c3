"""A device's own time, in any of the forms that devices send."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from contracts.decoders.model import AMBIGUOUS, FUTURE, OLD, UNPARSABLE

AHEAD_MAX = timedelta(days=1)  # time zones taken for UTC stay below; a clock that is further off is wrong
OLD_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Below the first bound a number counts seconds (until the year 5138), below the next milliseconds, and so on:
# as milliseconds that bound is March 1973, before any device, and so for the others.
SECONDS_BELOW, MILLISECONDS_BELOW, MICROSECONDS_BELOW = 1e11, 1e14, 1e17
_iso = datetime.fromisoformat
_NUMBER = re.compile(r"[+-]?\d{1,25}(\.\d{1,25})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)([.,]\d{1,30})?\s?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


def device_time(value: Any, received: datetime) -> tuple[datetime, int]:
    """The time that `value` means, or the received one with the flag that says why; None is no time."""
    if value is None:
        return received, 0
    try:
        # The usual form, by the quick way; the positions tell it from ISO 8601's other forms.
        if type(value) is str and value[16:17] == ":" and value[7] == "-" and value[-1] == "Z":
            try:
                time = _iso(value)
            except ValueError:
                time = _parse(value)
        else:
            time = _parse(value)
    except (ValueError, OverflowError):
        return received, UNPARSABLE
    if time - received > AHEAD_MAX:
        return received, FUTURE
    return time, 0 if time >= OLD_BEFORE else OLD


def unix(seconds: float) -> datetime:
    """ValueError or OverflowError where the calendar does not reach."""
    return EPOCH + timedelta(seconds=seconds)


def later(moment: datetime, seconds: float) -> datetime:
    """ValueError or OverflowError where the calendar does not reach."""
    return moment + timedelta(seconds=seconds)


def _parse(value: Any) -> datetime:
    """An aware UTC time; ValueError or OverflowError where `value` is none."""
    kind = type(value)
    if kind is str:
        return _from_text(value.strip())
    if kind is int or kind is float:
        return _from_number(value)
    raise ValueError("neither a text nor a number")


def _from_number(number: float) -> datetime:
    size = abs(number)
    if size < SECONDS_BELOW:
        return EPOCH + timedelta(seconds=number)
    if size < MILLISECONDS_BELOW:
        return EPOCH + timedelta(milliseconds=number)
    # Whole numbers stay whole: a float of this size is off by some hundred nanoseconds.
    return EPOCH + timedelta(microseconds=number if size < MICROSECONDS_BELOW else number // 1000)


def _from_text(text: str) -> datetime:
    if _NUMBER.fullmatch(text):
        return _from_number(float(text) if "." in text else int(text))
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError("no RFC 3339 time")
    date, clock, second, fraction, zone = found.groups()
    leap = second == "60"  # RFC 3339 §5.7; it is the second after :59
    micros = (fraction or ".0").replace(",", ".")[:7]
    second = "59" if leap else second
    moment = datetime.fromisoformat(f"{date}T{clock}{second}{micros:0<7}{(zone or 'Z').upper()}")
    moment = moment.astimezone(UTC)
    return moment + timedelta(seconds=1) if leap else moment


def from_local(local: datetime, zone: str) -> tuple[datetime, int]:
    """What the clocks of a (known) zone mean by this time, which has none.

    The first of the two where the clock is put back; flagged, as where it is put forward over it.
    """
    if zone == "UTC":
        return local.replace(tzinfo=UTC), 0
    there = local.replace(tzinfo=ZoneInfo(zone))
    flags = AMBIGUOUS if there.utcoffset() != there.replace(fold=1).utcoffset() else 0
    return there.astimezone(UTC), flags
