"""Webhooks without I/O: signatures, the schedule, who is sent to next, what is meant for whom."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import messages, subjects
from contracts.webhook_deliveries import (
    BATCH_BYTES_MAX,
    LIVE_MAX,
    SLOTS,
    DeliveryRecord,
    Outcome,
    Standing,
)
from contracts.webhooks import WebhookSettings
from services.ingest.links import Key
from services.ingest.webhooks.health import TOLD_AFTER, Health
from services.ingest.webhooks.http import judged
from services.ingest.webhooks.planning import joined, planned
from services.ingest.webhooks.queue import Queue
from services.ingest.webhooks.reading import Found, Item, body, item
from services.ingest.webhooks.schedule import STANDARD, after, parsed, retry_after_s
from services.ingest.webhooks.signing import signature, signed_headers
from services.ingest.webhooks.wanted import sources

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY = Key("org_a", "whk_1")


def test_a_signature_is_what_the_specifications_own_libraries_expect() -> None:
    """Their test vector: libraries/python/tests/test_webhooks.py of standard-webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    said = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_with_two_secrets_there_are_two_signatures() -> None:
    secrets = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
    both = signed_headers(secrets, "m", 1, b"{}")["webhook-signature"].split(" ")
    assert both == [signature(each, "m", 1, b"{}") for each in secrets]


# the schedule
def record(number: int = 1, lane: str | None = None, **fields: Any) -> DeliveryRecord:
    return DeliveryRecord(
        **{
            "id": f"msg_{number}",
            "number": number,
            "type": "message",
            "source": "MESSAGES",
            "epoch": "e",
            "sequences": (number,),
            "through": number,
            "at_ns": number,
            "lane": lane,
            "planned_at": NOW,
            **fields,
        }
    )


def outcome(code: str | None = "webhook.refused", at: datetime = NOW) -> Outcome:
    return Outcome(at=at, duration_ms=1.0, status=500 if code else 200, code=code)


def test_the_schedule_is_the_standards_and_then_it_is_given_up() -> None:
    held, now, waited = record(), NOW, []
    while held.state != "dead":
        held = after(held, outcome(at=now), now=now, random=lambda: 0.0)
        if held.next_at is not None:
            waited.append((held.next_at - now).total_seconds())
            now = held.next_at
    assert waited == list(STANDARD)
    assert held.attempts == len(STANDARD) + 1 == 10
    assert now - NOW == timedelta(hours=75, minutes=35, seconds=5)


def test_delays_are_spread_and_a_receivers_wish_is_kept() -> None:
    late = after(record(), outcome(), now=NOW, random=lambda: 1.0)
    assert late.next_at == NOW + timedelta(seconds=5.5)
    asked = after(record(), outcome(), now=NOW, wait_s=60, random=lambda: 1.0)
    assert asked.next_at == NOW + timedelta(seconds=60)


def test_an_attempt_before_its_time_costs_no_step() -> None:
    waiting = after(record(), outcome(), now=NOW, random=lambda: 0.0)
    early = after(waiting, outcome(at=NOW + timedelta(seconds=1)), now=NOW, random=lambda: 0.0)
    assert (early.step, early.next_at, early.attempts) == (1, waiting.next_at, 2)
    done = after(early, outcome(None), now=NOW, random=lambda: 0.0)
    assert (done.state, done.next_at) == ("delivered", None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("120", 120.0),
        ("999999999999999", 86_400.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("Sun, 22 Nov 2026 03:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 02:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 03:01:00", 0.0),
        ("٣", 0.0),
    ],
)
def test_retry_after_in_both_forms_and_in_none(value: str | None, seconds: float) -> None:
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1,5", "5,x", "9999999"])
def test_what_is_no_schedule_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — float's own, or ours
        parsed(text)


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, None), (204, None), (301, "webhook.redirected"), (410, "webhook.gone"), (404, "webhook.refused")],
)
def test_an_answers_status(status: int, code: str | None) -> None:
    assert judged(status)[0] == code


# who goes next
def queue(*records: DeliveryRecord) -> Queue:
    return Queue((str(each.number), each) for each in records)


def numbers(found: Any) -> list[int]:
    return [each.number for each in found]


def test_of_a_device_one_call_goes_and_other_devices_go_on() -> None:
    held = queue(record(1, "d1"), record(2, "d1"), record(3, "d2"))
    assert numbers(held.ready(NOW)) == [1, 3]
    held.under_way.add(1)
    assert numbers(held.ready(NOW)) == [3]
    held.under_way.discard(1)
    held.put("1", record(1, "d1", state="waiting", next_at=NOW + timedelta(seconds=5)))
    assert numbers(held.ready(NOW)) == [3]
    held.over(1)
    assert numbers(held.ready(NOW)) == [2, 3]


def test_without_order_what_waits_holds_up_nobody() -> None:
    later = NOW + timedelta(seconds=5)
    held = queue(record(1, state="waiting", next_at=later), record(2))
    assert numbers(held.ready(NOW)) == [2]
    held.early.add(1)
    assert numbers(held.ready(NOW)) == [1, 2]
    assert held.next_at() == later


def test_slots_are_reused_the_oldest_first_and_those_that_wait_keep_theirs() -> None:
    held = queue(*(record(n, state="delivered" if n % 2 else "waiting") for n in range(1, 11)))
    fresh = [held.new_slot() for _ in range(SLOTS - 10 + 5)]
    assert fresh[-5:] == ["1", "3", "5", "7", "9"]
    assert held.next_number == 11


def test_there_is_room_until_so_many_wait() -> None:
    assert queue(*(record(n, state="waiting") for n in range(LIVE_MAX - 1))).room
    assert not queue(*(record(n, state="waiting") for n in range(LIVE_MAX))).room
    assert not queue(*(record(n) for n in range(16))).room


def test_the_dead_have_a_ring_of_their_own() -> None:
    held = Queue([("d0", record(1, state="dead")), ("0", record(1, state="dead"))])
    assert not held.live
    assert held.dead_slot() == "d1"


# planning
def found(sequence: int, data: bytes = b"x", device: str = "d1", source: str = "http") -> Found:
    topic = f"org_a/devices/{device}/telemetry"
    headers = messages.headers(id="i", topic=topic, qos=1, retain=False, received=NOW, source=source)
    return Found(subjects.message("org_a", source, device), headers, data, sequence, 1)


def items(*said: tuple[int, str, bytes]) -> list[Item]:
    return [Item("message", "", device, found(number, data, device)) for number, device, data in said]


def plans(given: list[Item], *, ordered: bool = False) -> list[tuple[tuple[int, ...], str | None]]:
    calls = planned(KEY, "MESSAGES", given, ordered=ordered, epoch="e", through=9, at_ns=1, number=5, now=NOW)
    assert [each.record.number for each in calls] == list(range(5, 5 + len(calls)))
    return [(each.record.sequences, each.record.lane) for each in calls]


def test_messages_go_together_and_in_order_by_device() -> None:
    given = items((1, "d1", b""), (2, "d2", b""), (3, "d1", b""))
    assert plans(given) == [((1, 2, 3), None)]
    assert plans(given, ordered=True) == [((1, 3), "d1"), ((2,), "d2")]


def test_a_call_is_bounded_in_messages_and_bytes() -> None:
    many = items(*((n, "d", b"") for n in range(250)))
    assert [len(sequences) for sequences, _ in plans(many)] == [100, 100, 50]
    large = items(*((n, "d", bytes(BATCH_BYTES_MAX // 2)) for n in range(4)))
    assert [len(sequences) for sequences, _ in plans(large)] == [2, 2]


def test_the_same_messages_have_the_same_id_and_another_webhook_another() -> None:
    given = items((1, "d", b""))
    settings: dict[str, Any] = {"ordered": False, "epoch": "e", "through": 1, "at_ns": 1, "now": NOW}
    ids = [
        planned(key, "MESSAGES", given, number=number, **settings)[0].record.id
        for key, number in ((KEY, 1), (KEY, 7), (Key("org_a", "whk_2"), 1))
    ]
    assert ids[0] == ids[1] != ids[2]
    assert "." not in ids[0]


def test_what_was_never_attempted_takes_more_of_its_device() -> None:
    whole = joined(record(1, "d"), record(2, "d"))
    assert whole is not None
    assert (whole.id, whole.sequences, whole.through) == ("msg_1", (1, 2), 2)
    assert joined(record(1, "d", attempts=1), record(2, "d")) is None
    assert joined(record(1, "d", sequences=tuple(range(100))), record(2, "d")) is None
    assert joined(record(1, "d", size=BATCH_BYTES_MAX), record(2, "d", size=1)) is None


# what is meant for whom
def settings(*events: str, **more: Any) -> WebhookSettings:
    return WebhookSettings(name="w", url="https://h.example", events=events or ("message",), **more)


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (settings(), True),
        (settings(integration_id="hosted"), True),  # what comes by HTTP goes with the hosted broker
        (settings(integration_id="int_1"), False),
        (settings(device_ids=("d1", "d9")), True),
        (settings(device_ids=("d2",)), False),
        (settings(topic_filters=("devices/+/telemetry",)), True),
        (settings(topic_filters=("org_a/devices/d1/#",)), True),
        (settings(topic_filters=("$share/g/devices/#",)), True),
        (settings(topic_filters=("devices/+/status", "x/#")), False),
    ],
)
def test_messages_by_integration_device_and_topic(wanted: WebhookSettings, meant: bool) -> None:
    assert (item(KEY, wanted, "MESSAGES", found(1)) is not None) == meant


def test_a_claim_to_a_link_is_no_message() -> None:
    claim = Found(subjects.link_claim("org_a", "int_1"), {}, b"owner", 1, 1)
    assert item(KEY, settings(), "MESSAGES", claim) is None


def test_only_the_logs_that_are_needed_are_read() -> None:
    assert set(sources("o", settings())) == {"MESSAGES"}
    assert set(sources("o", settings("*"))) == {"ACTIVITY", "ALERTS"}
    assert sources("o", settings("alert.opened")) == {"ALERTS": ("alert.o.*",)}
    assert sources("o", settings("link.down", "link.up")) == {
        "ACTIVITY": ("activity.o.link-down", "activity.o.link-up")
    }
    assert sources("o", settings("link.*", "link.up")) == {"ACTIVITY": ("activity.o.*",)}
    assert sources("o", settings(integration_id="int_1")) == {"MESSAGES": ("message.*.o.int_1",)}


def test_a_payload_that_is_no_text_is_base64() -> None:
    said = json.loads(body("MESSAGES", [found(1, b"\xff\x00")]))["data"]["messages"][0]
    assert (said["payload"], said["encoding"]) == ("/wA=", "base64")


# health
def health() -> tuple[Health, list[str]]:
    told: list[str] = []
    return Health(Standing(), lambda kind, *_: told.append(kind)), told


def test_a_single_failure_is_no_news_and_the_end_of_many_is() -> None:
    held, told = health()
    held.after(record(), outcome())
    assert not held.after(record(), outcome(None))
    assert told == []
    for _ in range(TOLD_AFTER + 2):
        held.after(record(), outcome())
    assert (held.failing, told) == (True, ["webhook.failing"])
    assert held.after(record(), outcome(None))
    assert (held.failing, told[-1], held.standing.failing_since) == (False, "webhook.recovered", None)


def test_patience_ends_after_nothing_but_failures() -> None:
    held, _ = health()
    held.after(record(), outcome())
    assert not held.hopeless(NOW + timedelta(seconds=10), 10)
    assert held.hopeless(NOW + timedelta(seconds=11), 10)
    held.after(record(), outcome(None))
    assert not held.hopeless(NOW + timedelta(days=9), 10)


def test_calls_given_up_are_told_once_a_minute_with_their_number() -> None:
    held, told = health()
    for _ in range(50):
        held.after(record(state="dead"), outcome())
    assert told.count("webhook.delivery-dead") == 1
    assert held.standing.dead == 50
