"""Whether messages flow: learnt from how they come, or told; never said twice in a breath."""

import random

import pytest

from services.ingest.watchdog import LEARNT_FROM, LEAST_S, Watchdog


def heard_every(
    pause: float, times: int, *, watchdog: Watchdog | None = None, start: float = 0.0
) -> tuple[Watchdog, float]:
    """A watchdog that has heard so many messages, and the time of the last one."""
    if watchdog is None:
        watchdog = Watchdog()
        watchdog.connected(start)
    now = start
    for _ in range(times):
        now += pause
        watchdog.look(now)
        watchdog.heard(now)
    return watchdog, now


def silences(watchdog: Watchdog, times: list[float]) -> int:
    """How often a silence begins when messages come at these times and each second is looked at."""
    begun, was, clock = 0, watchdog.silent, 0.0
    for at in times:
        while clock < at:
            silent = watchdog.look(clock)
            begun += silent and not was
            was, clock = silent, clock + 1.0
        watchdog.heard(at)
        was = watchdog.silent
    return begun


def test_nothing_is_expected_before_enough_is_known() -> None:
    for pause, times in ((1.0, 500), (1_000.0, LEARNT_FROM)):
        watchdog, now = heard_every(pause, times)
        assert watchdog.expected_s is None
        assert not watchdog.look(now + 1e6)
    never = Watchdog()
    never.connected(0.0)
    assert not never.look(1e9)


def test_a_rhythm_is_learnt_and_its_absence_is_silence() -> None:
    watchdog, now = heard_every(60.0, 50)
    assert watchdog.expected_s == pytest.approx(60, rel=0.05)
    assert not watchdog.look(now + 170)
    assert watchdog.look(now + 181)


def test_a_fast_link_is_not_called_silent_for_a_breath() -> None:
    watchdog, now = heard_every(0.02, 40_000)
    assert not watchdog.look(now + LEAST_S - 1)
    assert watchdog.look(now + LEAST_S)


def test_bursts_do_not_hide_the_pause_between_them() -> None:
    watchdog, now = Watchdog(), 0.0
    watchdog.connected(now)
    for _ in range(12):
        now += 600
        for _ in range(20):
            now += 0.05
            watchdog.heard(now)
    assert watchdog.expected_s == pytest.approx(600, rel=0.1)
    assert not watchdog.look(now + 700)


def test_a_rhythm_with_jitter_raises_no_alarm_in_a_week() -> None:
    dice = random.Random(7)
    times, now = [], 0.0
    for _ in range(7 * 24 * 12):
        now += 300 * dice.uniform(0.6, 1.6)
        times.append(now)
    watchdog = Watchdog()
    watchdog.connected(0.0)
    assert silences(watchdog, times) == 0


def test_one_message_does_not_end_a_silence_but_flow_does() -> None:
    watchdog, now = heard_every(10.0, 80)
    assert watchdog.look(now + 100)
    watchdog.heard(now + 100)
    assert watchdog.look(now + 101)
    watchdog.heard(now + 110)
    assert not watchdog.look(now + 111)


def test_a_single_message_now_and_then_does_not_flap() -> None:
    watchdog = Watchdog(given_s=10.0)
    watchdog.connected(0.0)
    assert silences(watchdog, [1_000.0 * number for number in range(1, 10)]) == 1


def test_an_outage_teaches_little_and_a_slower_rhythm_is_believed_after_a_few() -> None:
    watchdog, now = heard_every(10.0, 80)
    heard_every(36_000.0, 1, watchdog=watchdog, start=now)
    assert (watchdog.expected_s or 0) <= LEAST_S
    watchdog, now = heard_every(600.0, 6, watchdog=watchdog, start=now + 36_000)
    assert not watchdog.look(now + 900)


def test_an_old_pause_is_forgotten() -> None:
    watchdog, now = heard_every(60.0, 20)
    watchdog, now = heard_every(1.0, 40_000, watchdog=watchdog, start=now)
    assert (watchdog.expected_s or 0) < 5


def test_a_given_interval_is_what_counts() -> None:
    watchdog = Watchdog(given_s=5.0)
    watchdog.connected(0.0)
    assert not watchdog.look(9.9)
    assert watchdog.look(10.0), "nothing ever came"
    watchdog.given_s = None
    assert not watchdog.look(10.0)


def test_time_without_a_connection_is_no_silence_and_teaches_nothing() -> None:
    watchdog, now = heard_every(60.0, 50)
    expected = watchdog.expected_s
    watchdog.connected(now + 7_200)
    assert not watchdog.look(now + 7_201)
    watchdog.heard(now + 7_210)
    assert watchdog.expected_s == expected
