"""The pure parts of a live stream: positions, selections, events, bytes."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime

import pytest

from contracts import messages, subjects
from contracts.decoders.choice import STANDARD
from contracts.failures import Refused
from services.gateway.live import position, wire
from services.gateway.live.events import Entry
from services.gateway.live.hub import placed
from services.gateway.live.logs import ACTIVITY, ALERTS, MESSAGES, Logged
from services.gateway.live.position import Place
from services.gateway.live.reading import Reading
from services.gateway.live.selection import selection
from services.gateway.live.wire import Event, Wire
from services.gateway.problems import Invalid

ORG = "org_alpha00000000000"
ALL_LOGS = (MESSAGES, ACTIVITY, ALERTS)


@pytest.mark.parametrize(
    ("places", "id"),
    [
        ({"m": Place(4711)}, "4711"),
        ({"m": Place(4710, 2)}, "4710+2"),
        ({"a": Place(0)}, "a0"),
        ({"m": Place(4711), "a": Place(93), "l": Place(6, 1)}, "a93.l6+1.m4711"),
    ],
)
def test_a_position_is_read_as_it_is_shown(places: dict[str, Place], id: str) -> None:
    assert position.shown(places) == id
    assert position.read(id, ALL_LOGS) == places


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        "-1",
        "1.5",
        "+1",
        "1+",
        "1+0",
        "m1.m2",
        "m1.",
        "z9",
        "9" * 19,
        "1" * 200,
        "m1 ",
        "١",
        "a1+99999",
        "0x1",
    ],
)
def test_a_forged_position_is_refused(forged: str) -> None:
    with pytest.raises(Refused) as refused:
        position.read(forged, ALL_LOGS)
    assert refused.value.code == "cursor.invalid"


def test_a_position_in_logs_that_are_not_asked_for_is_left_out() -> None:
    assert position.read("a93.m4711", (MESSAGES,)) == {"m": Place(4711)}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kinds": ("messages", "everything")}, "kind"),
        ({"topic": ("a/#/b",)}, "topic"),
        ({"topic": ("",)}, "topic"),
        ({"topic": tuple(f"a/{n}" for n in range(21))}, "topic"),
        ({"kinds": ("activity",), "metric": ("t",)}, "metric"),
        ({"kinds": ("alerts", "activity"), "topic": ("a",)}, "topic"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(given: dict[str, tuple[str, ...]], field: str) -> None:
    with pytest.raises(Invalid) as invalid:
        selection(**given)
    assert invalid.value.errors[0].field == field


def test_only_the_logs_that_are_needed_are_read() -> None:
    assert selection().logs == (MESSAGES,)
    assert selection(("activity",)).logs == (ACTIVITY,)
    assert selection(("presence",)).logs == (MESSAGES, ACTIVITY)
    assert selection(("presence",), topic=("a/#",)).logs == (MESSAGES,)
    assert selection(("alerts", "readings")).logs == (MESSAGES, ALERTS)


def message(payload: object, device: str = "d1", channel: str = "telemetry", sequence: int = 7) -> Entry:
    topic = f"{ORG}/devices/{device}/{channel}"
    made = messages.headers(
        id="i", topic=topic, qos=1, retain=False, received=datetime.now(UTC), source="http"
    )
    logged = Logged(
        sequence,
        subjects.message(ORG, "http", device),
        made,
        json.dumps(payload).encode(),
        1_800_000_000 * 10**9,
    )
    return Entry(MESSAGES, logged, ORG, Reading(lambda *_: STANDARD))


def test_each_kind_has_its_event() -> None:
    entry = message({"t": 1, "h": 2})
    said = entry.events(selection(("messages", "readings", "presence")))
    assert [each.event for each in said] == ["message", "readings"]
    assert json.loads(said[1].data)["readings"][0]["metrics"] == {"t": 1, "h": 2}
    (presence,) = message("online", channel="status").events(selection(("presence",)))
    assert json.loads(presence.data)["online"] is True


def test_readings_are_cut_to_what_is_asked_for() -> None:
    entry = message({"t": 1, "h": 2})
    (readings,) = entry.events(selection(("readings",), metric=("t",)))
    assert json.loads(readings.data)["readings"][0]["metrics"] == {"t": 1}
    (whole,) = entry.events(selection(metric=("t",)))
    assert json.loads(whole.data)["readings"][0]["metrics"] == {"t": 1, "h": 2}
    assert entry.events(selection(("messages", "readings"), metric=("p",))) == []


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ({"device_id": ("d1",)}, True),
        ({"device_id": ("d2", "d3")}, False),
        ({"topic": ("devices/+/telemetry",)}, True),
        ({"topic": (f"{ORG}/devices/#",)}, True),
        ({"topic": ("devices/+",)}, False),
        ({"integration_id": ("http", "int_x")}, True),
        ({"integration_id": ("hosted",)}, False),
    ],
)
def test_filters_narrow_messages(given: dict[str, tuple[str, ...]], passes: bool) -> None:
    assert bool(message({"t": 1}).events(selection(**given))) is passes


def test_of_several_events_all_but_the_last_say_how_many_came() -> None:
    said = message({"t": 1}).events(selection(("messages", "readings")))
    shown = [event.id for event in placed(said, MESSAGES, 7, {"m": Place(6), "a": Place(3)})]
    assert shown == ["a3.m6+1", "a3.m7"]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_says_its_length_in_the_shortest_way(size: int) -> None:
    frame = wire.encoded(Wire.FRAMES, [Event(None, "e", b'"' + b"x" * size + b'"')])
    length = len(b'{"event":"e","data":""}') + size
    assert frame[0] == 0x81
    if length < 126:
        assert frame[1] == length
    elif length < 65_536:
        assert frame[1] == 126
        assert struct.unpack("!H", frame[2:4]) == (length,)
    else:
        assert frame[1] == 127
        assert struct.unpack("!Q", frame[2:10]) == (length,)
    assert len(frame) == length + (2 if length < 126 else 4 if length < 65_536 else 10)


def test_a_chunk_says_its_length_and_server_sent_events_end_in_an_empty_line() -> None:
    events = [Event("7", "message", b"{}"), Event(None, "end", b"{}")]
    plain = wire.encoded(Wire.PLAIN, events)
    assert plain == b"id: 7\nevent: message\ndata: {}\n\nevent: end\ndata: {}\n\n"
    assert wire.encoded(Wire.CHUNKS, events) == b"%x\r\n" % len(plain) + plain + b"\r\n"
