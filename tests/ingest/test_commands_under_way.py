"""What is known of commands under way: by their answers' topics, by the time they are due, by organization."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from contracts.device_commands import (
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandQueued,
    DeviceCommandSent,
)
from contracts.envelope import Event, Recorded
from services.ingest.commands_log import CommandKey
from services.ingest.commands_under_way import Tracked, UnderWay
from services.ingest.links import Key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOPIC = Key("org_a", "int_1"), "devices/d1/ack"


def queued(expires_in_s: int = 60) -> DeviceCommandQueued:
    return DeviceCommandQueued(
        device_id="d1",
        integration_id="int_1",
        topic="commands/d1/set",
        payload=base64.b64encode(b"x" * 1000).decode(),
        qos=1,
        retain=False,
        response_topic="devices/d1/ack",
        correlation_id="c",
        answer_expected=True,
        expires_in_s=expires_in_s,
    )


def take(under_way: UnderWay, id: str, event: Event, organization: str = "org_a") -> Tracked | None:
    recorded = Recorded(event, "id", NOW, "k", "subject", 1)
    return under_way.take(CommandKey(organization, id), recorded, NOW)


def test_memory_holds_no_payload() -> None:
    tracked = take(UnderWay(), "1", queued())
    assert tracked is not None
    assert tracked.held.queued.payload == ""


def test_of_a_command_whose_beginning_is_not_known_nothing_is_kept() -> None:
    under_way = UnderWay()
    assert take(under_way, "1", DeviceCommandSent(attempt=1)) is None
    assert under_way.all() == []


def test_those_who_wait_on_a_topic_come_oldest_first() -> None:
    under_way = UnderWay()
    first, second = take(under_way, "1", queued()), take(under_way, "2", queued())
    take(under_way, "3", queued(), "org_b")
    assert first is not None
    assert second is not None
    assert under_way.waiting(TOPIC) == [first, second]
    first.is_answered = True
    assert under_way.waiting(TOPIC) == [second]
    assert not under_way.forget(first)  # another waits there
    assert under_way.forget(second)
    assert under_way.waiting(TOPIC) == []
    assert (under_way.count("org_a"), under_way.count("org_b")) == (0, 1)


def test_what_is_due_comes_once_until_it_is_to_be_looked_at_again() -> None:
    under_way = UnderWay()
    soon, late = take(under_way, "1", queued(1)), take(under_way, "2", queued(50))
    assert soon is not None
    later = NOW + timedelta(seconds=2)
    assert under_way.due(NOW) == []
    assert under_way.due(later) == [soon]
    assert under_way.due(later) == []
    under_way.look_again(soon, later)
    assert under_way.due(later) == [soon]
    under_way.forget(soon)
    assert under_way.due(NOW + timedelta(seconds=60)) == [late]


def test_what_was_sent_and_not_heard_of_since_is_found() -> None:
    under_way = UnderWay()
    tracked = take(under_way, "1", queued())
    take(under_way, "1", DeviceCommandSent(attempt=1))
    later = NOW + timedelta(seconds=20)
    assert list(under_way.unacknowledged(later, timedelta(seconds=15))) == [tracked]
    assert list(under_way.unacknowledged(later, timedelta(seconds=25))) == []
    take(under_way, "1", DeviceCommandDelivered())
    assert list(under_way.unacknowledged(later, timedelta(seconds=15))) == []


def test_an_end_is_seen_in_what_take_gives() -> None:
    under_way = UnderWay()
    take(under_way, "1", queued())
    ended = take(under_way, "1", DeviceCommandAnswered(topic="t", payload="", message=1))
    assert ended is not None
    assert ended.held.ended
