"""`timestamp_format`: how a tenant's devices write the time. Nothing here depends on the process's locale."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.decoders.model import FUTURE, OLD, UNPARSABLE
from contracts.decoders.times import AHEAD_MAX, EPOCH, OLD_BEFORE, device_time, from_local

Read = Callable[[Any, datetime], tuple[datetime, int]]
"""(value, received) → the device's time and its flags; None is no time."""

NAMED = ("auto", "iso8601", "unix", "unix_ms", "vmark")
VMARK = "%Y-%m-%d_%H:%M:%S.%f"
PATTERN_CHARS_MAX = 100
TEXT_CHARS_MAX = 100  # no time is longer; what a regular expression is run on is bounded
_NUMBER = re.compile(r"[+-]?\d{1,25}(\.\d{1,25})?", re.ASCII)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d{1,30})?\s?(?P<zone>[Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _any(words: list[str]) -> str:
    return "(?>" + "|".join(words) + ")"


# Each stands once in a pattern and is atomic, so that a text is read in one go, whatever it holds.
_PARTS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"(?>1[0-2]|0[1-9]|[1-9])",
    "d": r"(?>3[01]|[12]\d|0[1-9]|[1-9])",
    "j": r"(?>36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|[1-9])",
    "H": r"(?>2[0-3]|[01]\d|\d)",
    "I": r"(?>1[0-2]|0[1-9]|[1-9])",
    "M": r"(?>[0-5]\d|\d)",
    "S": r"(?>60|[0-5]\d|\d)",
    "f": r"\d{1,9}+",
    "p": r"[AaPp][Mm]",
    "B": _any(_MONTHS),
    "b": _any([month[:3] for month in _MONTHS]),
    "A": _any(_DAYS),
    "a": _any([day[:3] for day in _DAYS]),
    "z": r"(?>[Zz]|[+-][01]\d:?[0-5]\d)",
    "Z": r"(?>UTC|GMT|Z)",
}


def reader(format: str, zone: str) -> Read:
    """ValueError says what is wrong with a pattern."""
    if format == "auto":
        return device_time
    if format == "unix":
        return _numbers(timedelta(seconds=1))
    if format == "unix_ms":
        return _numbers(timedelta(milliseconds=1))
    if format == "iso8601":
        return _iso(zone)
    return _pattern(VMARK if format == "vmark" else format, zone)


def _bounded(moment: datetime, flags: int, received: datetime) -> tuple[datetime, int]:
    if moment - received > AHEAD_MAX:
        return received, FUTURE
    return moment, flags if moment >= OLD_BEFORE else flags | OLD


def _numbers(unit: timedelta) -> Read:
    def read(value: Any, received: datetime) -> tuple[datetime, int]:
        if value is None:
            return received, 0
        if type(value) is str and len(value) <= TEXT_CHARS_MAX and _NUMBER.fullmatch(value.strip()):
            value = float(value) if "." in value else int(value)
        if type(value) is not int and type(value) is not float:
            return received, UNPARSABLE
        try:
            return _bounded(EPOCH + value * unit, 0, received)
        except OverflowError:
            return received, UNPARSABLE

    return read


def _iso(zone: str) -> Read:
    def read(value: Any, received: datetime) -> tuple[datetime, int]:
        if value is None:
            return received, 0
        found = _ISO.fullmatch(value.strip()) if type(value) is str and len(value) <= TEXT_CHARS_MAX else None
        if found is None:
            return received, UNPARSABLE
        if zone == "UTC" or found["zone"]:
            return device_time(value, received)
        moment, flags = device_time(value, datetime.max.replace(tzinfo=UTC))  # judged below, by its zone
        return (received, flags) if flags else _local(moment.replace(tzinfo=None), zone, received)

    return read


def _local(local: datetime, zone: str, received: datetime) -> tuple[datetime, int]:
    try:
        return _bounded(*from_local(local, zone), received)
    except OverflowError:
        return received, UNPARSABLE


def _pattern(format: str, zone: str) -> Read:
    match = re.compile(_expression(format), re.ASCII | re.IGNORECASE).fullmatch

    def read(value: Any, received: datetime) -> tuple[datetime, int]:
        if value is None:
            return received, 0
        if type(value) is int:
            value = str(value) if abs(value) < 10**20 else ""
        found = match(value.strip()) if type(value) is str and len(value) <= TEXT_CHARS_MAX else None
        if found is None:
            return received, UNPARSABLE
        try:
            local, offset = _moment(found.groupdict())
            if offset is not None:
                return _bounded((local - offset).replace(tzinfo=UTC), 0, received)
        except (ValueError, OverflowError):
            return received, UNPARSABLE
        return _local(local, zone, received)

    return read


def _expression(format: str) -> str:
    pieces: list[str] = []
    seen: set[str] = set()
    at = 0
    while at < len(format):
        letter = format[at]
        at += 1
        if letter.isspace():
            pieces.append(r"\s")
        elif letter != "%":
            pieces.append(re.escape(letter))
        elif format[at : at + 1] == "%":
            pieces.append("%")
            at += 1
        else:
            directive = format[at : at + 1]
            at += 1
            if directive not in _PARTS:
                raise ValueError(f"%{directive} is not known: there are %{' %'.join(_PARTS)} and %%")
            if directive in seen:
                raise ValueError(f"%{directive} stands twice")
            seen.add(directive)
            pieces.append(f"(?P<{directive}>{_PARTS[directive]})")
    _check_complete(seen)
    return "".join(pieces)


def _check_complete(seen: set[str]) -> None:
    if len(seen & {"Y", "y"}) != 1 or not ("j" in seen or (len(seen & {"m", "b", "B"}) == 1 and "d" in seen)):
        raise ValueError("a pattern says the whole date: %Y or %y, with %m (or %b, %B) and %d, or with %j")
    if ("I" in seen) != ("p" in seen) or {"H", "I"} <= seen:
        raise ValueError("hours are %H, or %I with %p")


def _moment(found: dict[str, str]) -> tuple[datetime, timedelta | None]:
    """A local time, and how far it lies ahead of UTC where the text says so."""
    year = int(found["Y"]) if "Y" in found else _century(int(found["y"]))
    hour = int(found.get("H", 0))
    if "I" in found:
        hour = int(found["I"]) % 12 + (12 if found["p"][0] in "Pp" else 0)
    second = int(found.get("S", 0))
    leap = second == 60  # it is the second after :59
    micros = int(f"{found.get('f', '0')[:6]:0<6}")
    if "j" in found:
        day = datetime(year, 1, 1) + timedelta(days=int(found["j"]) - 1)  # noqa: DTZ001  # local; so below
        if day.year != year:
            raise ValueError("no such day in this year")
        month, date = day.month, day.day
    else:
        month, date = _month(found), int(found["d"])
    local = datetime(year, month, date, hour, int(found.get("M", 0)), min(second, 59), micros)  # noqa: DTZ001
    return local + timedelta(seconds=1) if leap else local, _offset(found)


def _century(year: int) -> int:
    return year + (2000 if year < 69 else 1900)  # as POSIX has it


def _month(found: dict[str, str]) -> int:
    if "m" in found:
        return int(found["m"])
    name = (found.get("b") or found["B"])[:3].capitalize()
    return 1 + next(at for at, month in enumerate(_MONTHS) if month.startswith(name))


def _offset(found: dict[str, str]) -> timedelta | None:
    text = found.get("z")
    if text is None:
        return timedelta() if "Z" in found else None
    if text in "Zz":
        return timedelta()
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return -ahead if text[0] == "-" else ahead
