"""Intervals that time is cut into: of the clock (`90s`, `15m`, `PT1H30M`) or of the calendar (`1d`, `P1M`).

Of the clock: counted from 1970-01-01T00:00Z on. Of the calendar: from midnight to midnight in a time zone, whatever
its clocks do in between; weeks begin on Monday (ISO 8601), several days are counted from 1970-01-01.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from contracts.failures import Refused

BUCKETS_MAX = 10_000
# Room for the longest interval on both sides, within the years that Python knows.
FROM_MIN, TO_MAX = datetime(200, 1, 1, tzinfo=UTC), datetime(9800, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH_MONTH = 1970 * 12
_MONDAY = date(1970, 1, 5).toordinal()
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_SHORT = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
_ISO = re.compile(
    r"P(?:([0-9]{1,9})Y)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)
_CLOCK_S = {"s": 1, "m": 60, "h": 3600}
Unit = Literal["second", "day", "week", "month"]
_COUNT_MAX: dict[Unit, int] = {"second": 100 * 366 * _DAY_S, "day": 36_600, "week": 5_200, "month": 1_200}
"""A hundred years."""


@dataclass(frozen=True, slots=True)
class Interval:
    count: int
    unit: Unit

    def step(self, where: ZoneInfo) -> timedelta | None:
        """The length of every bucket, where all have the same."""
        if self.unit == "second":
            return timedelta(seconds=self.count)
        if self.unit == "month" or where.key != "UTC":
            return None
        return timedelta(days=self.count * (7 if self.unit == "week" else 1))

    def __str__(self) -> str:
        return f"P{self.count}M" if self.unit == "month" else f"{self.count}{self.unit[0]}"


def parse(text: str) -> Interval:
    """`30s`, `15m`, `1h`, `1d`, `2w`, or a duration of ISO 8601 of one kind; Refused("request.invalid") else."""
    found = None
    if short := _SHORT.fullmatch(text):
        count, unit = int(short[1]), short[2]
        if unit in _CLOCK_S:
            found = Interval(count * _CLOCK_S[unit], "second")
        else:
            found = Interval(count, "day" if unit == "d" else "week")
    elif iso := _ISO.fullmatch(text):
        years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in iso.groups())
        kinds: list[Interval] = [
            Interval(years * 12 + months, "month"),
            Interval(weeks, "week"),
            Interval(days, "day"),
            Interval(hours * 3600 + minutes * 60 + seconds, "second"),
        ]
        several = [kind for kind in kinds if kind.count]
        found = several[0] if len(several) == 1 else None
    if found is None or not 0 < found.count <= _COUNT_MAX[found.unit]:
        raise Refused(
            "request.invalid",
            "an interval is like 30s, 15m, 1h, 1d, 1w, or of ISO 8601 like PT15M, P1D, P1M: whole numbers above 0,"
            " of the clock or of the calendar but not both, a hundred years at most",
            field="interval",
        )
    return found


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(name: str) -> ZoneInfo:
    """By its name in the IANA database; Refused("request.invalid") for another."""
    if name != "UTC" and name not in _zones():
        raise Refused(
            "request.invalid", "a time zone has a name like UTC or Europe/Berlin (IANA)", field="time_zone"
        )
    return ZoneInfo(name)


def buckets(interval: Interval, where: ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    """The starts of all buckets that hold a moment of [first, last).

    Refused("request.invalid") where they are over BUCKETS_MAX, with `smallest_interval` beside: the smallest
    that is allowed for these times."""
    if not FROM_MIN <= first < last <= TO_MAX:
        raise Refused(
            "request.invalid", "it must lie before `to`, both in the years 200 to 9799", field="from"
        )
    found: list[datetime] = []
    for start in _starts(interval, where, first, last):
        found.append(start)
        if len(found) > BUCKETS_MAX:
            smallest = _smallest(interval, where, first, last)
            raise Refused(
                "request.invalid",
                f"at most {BUCKETS_MAX:,} buckets: the smallest interval for these times is {smallest}",
                field="interval",
                smallest_interval=str(smallest),
            )
    return found


def _starts(interval: Interval, where: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    if interval.unit == "second":
        step = timedelta(seconds=interval.count)
        start = _EPOCH + (first - _EPOCH) // step * step
        while start < last:
            yield start
            start += step
        return
    at, step_by, day_at = _calendar(interval, first.astimezone(where).date())
    held: datetime | None = None
    while True:
        day = day_at(at)
        # Of a midnight that was twice the first, of one that never was the moment in its place (PEP 495).
        start = datetime(day.year, day.month, day.day, tzinfo=where).astimezone(UTC)
        if start >= last:
            return
        if start != held:  # a day that a zone left out when it crossed the date line
            yield start
        held, at = start, at + step_by


def _calendar(interval: Interval, day: date) -> tuple[int, int, Callable[[int], date]]:
    """The number of the first day or month, the step to the next, and what makes a date of such a number."""
    count = interval.count
    if interval.unit == "month":
        month = day.year * 12 + day.month - 1
        return month - (month - _EPOCH_MONTH) % count, count, _first_of
    origin, step = (_MONDAY, count * 7) if interval.unit == "week" else (_EPOCH_DAY, count)
    number = day.toordinal()
    return number - (number - origin) % step, step, date.fromordinal


def _first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _smallest(asked: Interval, where: ZoneInfo, first: datetime, last: datetime) -> Interval:
    """In whole seconds, from a day on in whole days."""
    unit: Unit
    unit, one = ("second", _SECOND) if asked.unit == "second" else ("day", timedelta(days=1))
    count = max(1, (last - first) // one // BUCKETS_MAX)
    if unit == "second" and count >= _DAY_S:
        unit, count = "day", max(1, count // _DAY_S)
    while _more(Interval(count, unit), where, first, last):
        count += 1
    return Interval(count, unit)


def _more(interval: Interval, where: ZoneInfo, first: datetime, last: datetime) -> bool:
    starts = _starts(interval, where, first, last)
    return sum(1 for _ in zip(range(BUCKETS_MAX + 1), starts, strict=False)) > BUCKETS_MAX
