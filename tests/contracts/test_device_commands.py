"""What may happen to a command to a device, and which command a message answers."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.device_command_state import (
    Acknowledged,
    Declined,
    DeviceCommand,
    Happening,
    Heard,
    Left,
    TimePassed,
    answers,
    decide,
    evolve,
    step,
    view,
)
from contracts.device_commands import DeviceCommandQueued, new_command_id
from contracts.envelope import Event, Recorded

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
LATER, TOO_LATE = NOW + timedelta(seconds=30), NOW + timedelta(seconds=61)
HEARD = Heard("org_a/devices/d1/responses/cmd_1", b"\xff", 7, LATER)


def queued(**more: Any) -> DeviceCommandQueued:
    return DeviceCommandQueued(
        **{
            "device_id": "d1",
            "integration_id": "hosted",
            "topic": "org_a/commands/d1/set/cmd_1",
            "payload": base64.b64encode(b'{"target": 65}').decode(),
            "qos": 1,
            "retain": False,
            "response_topic": "org_a/devices/d1/responses/cmd_1",
            "correlation_id": "cmd_1",
            "answer_expected": True,
            "expires_in_s": 60,
            **more,
        }
    )


def recorded(event: Event, at: datetime = NOW) -> Recorded:
    return Recorded(event, "id", at, "key:k", "subject", 1)


def command(*happenings: Happening, **more: Any) -> DeviceCommand:
    """After these, half a minute on."""
    held = evolve(None, recorded(queued(**more)))
    assert held is not None
    for happening in happenings:
        for event in decide(happening, held, LATER):
            held = evolve(held, recorded(event, LATER))
            assert held is not None
    return held


def test_it_is_queued_sent_delivered_and_answered() -> None:
    states = [
        command(*so_far).state
        for so_far in ((), (Left(),), (Left(), Acknowledged()), (Left(), Acknowledged(), HEARD))
    ]
    assert states == ["queued", "sent", "delivered", "answered"]


def test_an_answer_is_shown_as_base64_where_it_is_no_text() -> None:
    shown = view("cmd_1", command(Left(), HEARD))
    assert shown.answer is not None
    assert (shown.answer.payload, shown.answer.encoding, shown.answer.message) == ("/w==", "base64", 7)
    assert (shown.payload, shown.encoding) == ('{"target": 65}', "utf-8")


def test_an_answer_may_be_there_before_it_is_known_that_the_command_was_sent() -> None:
    assert command(HEARD, Left(), Acknowledged()).state == "answered"


def test_what_the_broker_remarks_is_kept() -> None:
    assert command(Left(), Acknowledged("No matching subscribers")).remark == "No matching subscribers"


def test_what_is_sent_again_counts_its_attempts() -> None:
    held = command(Left(), Left())
    assert (held.attempts, held.sent_at) == (2, LATER)


@pytest.mark.parametrize("happening", [Left(), Acknowledged(), Declined("x", "y"), HEARD, TimePassed()])
@pytest.mark.parametrize("end", [HEARD, Declined("broker.refused", "Not authorized")])
def test_nothing_happens_to_one_that_has_ended(end: Happening, happening: Happening) -> None:
    assert decide(happening, command(Left(), end), TOO_LATE) == []


def test_an_answer_that_the_log_had_too_late_is_none() -> None:
    late = Heard(HEARD.topic, HEARD.payload, 8, TOO_LATE)
    assert decide(late, command(Left(), Acknowledged()), TOO_LATE) == []


def test_one_that_is_delivered_cannot_be_declined() -> None:
    assert decide(Declined("broker.refused", ""), command(Left(), Acknowledged()), LATER) == []


@pytest.mark.parametrize(
    ("held", "now", "expected"),
    [
        (command(), NOW, "send"),
        (command(), TOO_LATE, "expire"),  # never sent
        (command(Left()), LATER, "send"),  # nobody knows whether the broker had it
        (command(Left(), qos=0), LATER, "wait"),
        (command(Left(), Acknowledged()), LATER, "wait"),
        (command(Left(), Acknowledged()), TOO_LATE, "expire"),
        (command(Left(), Acknowledged(), answer_expected=False), TOO_LATE, "none"),
        (command(Left(), qos=0, answer_expected=False), TOO_LATE, "none"),
        (command(Left(), HEARD), TOO_LATE, "none"),
    ],
)
def test_what_is_next(held: DeviceCommand, now: datetime, expected: str) -> None:
    assert step(held, now) == expected


def test_time_ends_only_what_is_too_late() -> None:
    assert decide(TimePassed(), command(), LATER) == []
    assert [event.type for event in decide(TimePassed(), command(), TOO_LATE)] == ["device-command.expired"]


def test_on_its_own_topic_any_message_is_the_answer() -> None:
    assert answers(json.dumps({"correlation_id": "mine"}).encode(), [("cmd_1", command())]) == "cmd_1"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"correlation_id": "b"}', "cmd_2"),
        (b'{"correlation_id": "a", "ok": true}', "cmd_1"),
        (b'{"correlation_id": "c"}', None),  # somebody else's
        (b'{"ok": true}', "cmd_1"),  # the oldest
        (b"done", "cmd_1"),
        (b'{"correlation_id": 5}', "cmd_3"),
        (b'{"correlation_id": ["a"]}', "cmd_1"),
        (b'{"correlation_id": "b"', "cmd_1"),
        (b'["correlation_id"]', "cmd_1"),
    ],
)
def test_on_a_shared_topic_the_correlation_says_which_is_answered(
    payload: bytes, expected: str | None
) -> None:
    waiting = [
        (f"cmd_{number}", command(response_topic="devices/d1/ack", correlation_id=correlation))
        for number, correlation in enumerate(("a", "b", "5"), 1)
    ]
    assert answers(payload, waiting) == expected


def test_correlation_data_outranks_the_payload() -> None:
    waiting = [
        (f"cmd_{number}", command(response_topic="devices/d1/ack", correlation_id=correlation))
        for number, correlation in enumerate(("a", "b"), 1)
    ]
    assert answers(b'{"correlation_id": "a"}', waiting, "b") == "cmd_2"
    assert answers(b"done", waiting, "c") is None


def test_nobody_waits_and_nothing_is_answered() -> None:
    assert answers(b"done", []) is None


def test_an_idempotency_key_makes_one_id_and_chance_makes_many() -> None:
    assert new_command_id("a" * 64) == new_command_id("a" * 64)
    assert len({new_command_id(None) for _ in range(1000)}) == 1000
