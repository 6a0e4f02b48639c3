"""What a link counts: bounded, by filter, by minute."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.tally import MINUTES, TOPICS_MAX, Tally

T0 = datetime(2026, 11, 21, 18, tzinfo=UTC).timestamp()


def test_each_filter_counts_what_it_matches() -> None:
    tally = Tally()
    tally.watch(["devices/+/telemetry", "$share/g/devices/#", "other/#", "#"])
    tally.took(["devices/d1/telemetry", "devices/d1/telemetry", "devices/d2/status", "$SYS/x"], 40, T0)
    assert {name: held.messages for name, held in tally.filters.items()} == {
        "devices/+/telemetry": 2,
        "$share/g/devices/#": 3,
        "other/#": 0,
        "#": 3,
    }
    assert (tally.messages_in, tally.bytes_in, tally.last_message_at) == (4, 40, T0)


def test_a_filter_that_stays_goes_on_counting() -> None:
    tally = Tally()
    tally.watch(["a/#"])
    tally.took(["a/b"], 1, T0)
    tally.watch(["b/#", "a/#"])
    tally.took(["a/b", "b/c"], 2, T0 + 1)
    assert {name: held.messages for name, held in tally.filters.items()} == {"b/#": 1, "a/#": 2}


def test_topics_without_number_take_no_memory_without_bound() -> None:
    tally = Tally()
    tally.watch(["#"])
    for number in range(3 * TOPICS_MAX):
        tally.took([f"t/{number}"], 1, T0)
    assert len(tally._of_topic) <= TOPICS_MAX
    assert tally.filters["#"].messages == 3 * TOPICS_MAX


def test_the_rate_is_that_of_now() -> None:
    tally = Tally()
    for second in range(300):
        tally.took(["t"] * 50, 50, T0 + second)
    assert tally.rate_in.at(T0 + 300) == pytest.approx(50, rel=0.1)
    assert tally.rate_in.at(T0 + 600) < 0.1


def test_the_last_hour_is_kept_by_minutes() -> None:
    tally = Tally()
    for minute in range(3 * MINUTES):
        tally.took(["t"], 10, T0 + 60 * minute)
    hour = tally.last_hour(T0 + 60 * (3 * MINUTES - 1))
    assert len(hour) == MINUTES
    assert {(each.messages_in, each.bytes_in) for each in hour} == {(1, 10)}
    assert tally.last_hour(T0 + 60 * (3 * MINUTES + 29))[-1].at == hour[-1].at
    assert len(tally.last_hour(T0 + 60 * (3 * MINUTES + 29))) == MINUTES // 2


def test_the_same_failure_again_does_not_push_another_out() -> None:
    tally, at = Tally(), datetime(2026, 11, 21, tzinfo=UTC)
    tally.failed("broker.refused", "bad password", at)
    for second in range(100):
        tally.failed("broker.unreachable", f"try {second}", at + timedelta(seconds=second))
    assert [(each.code, each.times) for each in tally.errors] == [
        ("broker.refused", 1),
        ("broker.unreachable", 100),
    ]
    assert tally.errors[-1].detail == "try 99"
