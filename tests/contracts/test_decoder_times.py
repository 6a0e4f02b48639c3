from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decoders import FUTURE, OLD, UNPARSABLE
from contracts.decoders.times import device_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T10:00:00Z",
        "2026-03-01t10:00:00z",
        "2026-03-01 10:00:00Z",
        "2026-03-01T10:00:00.000Z",
        "2026-03-01T10:00:00.000000000Z",
        "2026-03-01T10:00:00,000Z",
        "2026-03-01T10:00:00",
        "2026-03-01T12:00:00+02:00",
        "2026-03-01T04:30:00-05:30",
        "2026-03-01T12:00:00+0200",
        "2026-03-01T09:59:60Z",
        " 2026-03-01T10:00:00Z ",
        1772359200,
        1772359200.0,
        "1772359200",
        "1772359200.0",
        1772359200_000,
        1772359200_000_000,
        1772359200_000_000_000,
        "1772359200000000000",
    ],
)
def test_a_time_is_understood_in_every_form(value: Any) -> None:
    assert device_time(value, NOW) == (TEN, 0)


def test_fractions_are_kept_to_the_microsecond() -> None:
    expected = TEN + timedelta(microseconds=123456)
    for value in (
        "2026-03-01T10:00:00.123456789Z",
        "1772359200123456789",
        1772359200123456,
        1772359200.123456,
    ):
        assert device_time(value, NOW) == (expected, 0)
    assert device_time(1772359200123, NOW) == (TEN + timedelta(milliseconds=123), 0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-03-01",
        "2026-13-01T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T10:00Z",
        "20260301T100000Z",
        "2026-W09-7T10:00:00Z",
        "2026-03-01T10:00:00X",
        "٢٠٢٦-03-01T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9" * 25,
        "9" * 5000,
        "1e9",
        "NaN",
        True,
        [],
        {},
        10**400,
        -1e300,
        "a\0b",
    ],
)
def test_what_is_no_time_is_replaced_by_the_received_one_and_flagged(value: Any) -> None:
    time, flags = device_time(value, NOW)
    assert time == NOW
    assert flags in (UNPARSABLE, FUTURE)


def test_a_missing_time_is_replaced_without_a_flag() -> None:
    assert device_time(None, NOW) == (NOW, 0)


def test_a_time_over_a_day_ahead_is_replaced_and_flagged() -> None:
    assert device_time("2026-03-02T12:00:00Z", NOW) == (NOW + timedelta(days=1), 0)
    assert device_time("2026-03-02T12:00:01Z", NOW) == (NOW, FUTURE)
    assert device_time("9999-12-31T23:59:60Z", NOW) == (NOW, UNPARSABLE)


def test_the_past_is_taken_as_it_is_and_flagged_before_2000() -> None:
    assert device_time(0, NOW) == (datetime(1970, 1, 1, tzinfo=UTC), OLD)
    assert device_time("2000-01-01T00:00:00Z", NOW)[1] == 0
    assert device_time("1969-07-20T20:17:40Z", NOW)[0].year == 1969


@given(st.datetimes(datetime(2000, 1, 1), datetime(2026, 3, 2)))  # noqa: DTZ001 (Hypothesis wants them naive)
def test_seconds_milliseconds_microseconds_and_nanoseconds_are_told_apart(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = int(whole.timestamp())
    for factor in (1, 10**3, 10**6, 10**9):
        assert device_time(seconds * factor, NOW) == (whole, 0)


@given(st.one_of(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.binary()))
def test_nothing_that_a_device_sends_as_its_time_raises(value: Any) -> None:
    time, _ = device_time(value, NOW)
    assert time.tzinfo is UTC
