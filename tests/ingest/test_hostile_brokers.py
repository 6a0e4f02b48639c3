"""Brokers that break MQTT's rules: their links say what is wrong, stay alive, and do not hammer."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

import pytest

from contracts.activity import ActivityRecorded
from contracts.broker_topics import TopicFilter
from contracts.links import GET_STATUS
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.hostile import (
    ACCEPTED_5,
    ACCEPTED_311,
    Answer,
    closing,
    greets,
    obliging,
    peer,
    says,
    silent,
)
from tests.support.mqtt_wire import packet, text
from tests.support.service import Service

ALL = (TopicFilter(filter="#", qos=1),)
GRANTED = packet(0x90, b"\0\x01\x01")
GRANTED_5 = packet(0x90, b"\0\x01\0\x01")
POLL_S = 0.5  # each look at the activity is a consumer of it for some seconds
NO_MQTT = "what the broker sends is no MQTT"


def up_then(data: bytes, then: Answer = obliging) -> Answer:
    """A broker that is as it should be until the link is up."""
    return says(ACCEPTED_311, GRANTED + data, then=then)


def message(topic: bytes, payload: bytes = b"x", *, first: int = 0x30, mid: bytes = b"") -> bytes:
    return packet(first, len(topic).to_bytes(2, "big") + topic + mid + payload)


class Hostile(NamedTuple):
    """What a broker does, and what its link then says."""

    answer: Answer
    kind: str
    words: str
    version: str = "3.1.1"


BEFORE_IT_IS_UP = {
    "garbage": Hostile(greets(b"\xff" + os.urandom(64)), "link.down", "no MQTT"),
    "closes at once": Hostile(closing, "link.down", "before a CONNACK"),
    "never answers": Hostile(silent, "link.down", "no answer to CONNECT"),
    "a CONNECT for a CONNECT": Hostile(says(packet(0x10, text("MQTT") + b"\4\2\0\0\0\0")), "link.down", NO_MQTT),
    "endless CONNACKs": Hostile(says(ACCEPTED_311 * 5_000), "link.down", NO_MQTT),
    "a message before the CONNACK": Hostile(greets(message(b"early")), "link.down", NO_MQTT),
    "a SUBACK before the CONNACK": Hostile(says(GRANTED), "link.down", NO_MQTT),
    "a CONNACK of one byte": Hostile(says(b"\x20\x01\x00"), "link.down", NO_MQTT),
    "a CONNACK with broken properties": Hostile(says(b"\x20\x04\x00\x00\x7f\x1f"), "link.down", NO_MQTT, "5"),
    "refuses the login": Hostile(says(b"\x20\x02\x00\x05"), "link.refused", "Not authorized"),
    "never a SUBACK": Hostile(says(ACCEPTED_311), "link.down", "no answer to SUBSCRIBE"),
    "a SUBACK for two": Hostile(says(ACCEPTED_311, packet(0x90, b"\0\x01\1\1")), "link.down", "SUBACK"),
    "a SUBACK without end": Hostile(says(ACCEPTED_5, b"\x90\x03\0\x01\xff"), "link.down", "no MQTT", "5"),
}  # fmt: skip
ONCE_IT_IS_UP = {
    "invalid UTF-8": Hostile(up_then(message(b"\xff\xfe")), "link.down", NO_MQTT),
    "half a surrogate pair": Hostile(up_then(message(b"\xed\xa0\x80")), "link.down", NO_MQTT),
    "QoS 3": Hostile(up_then(message(b"t", first=0x36, mid=b"\0\x07")), "link.down", NO_MQTT),
    "the packet id 0": Hostile(up_then(message(b"t", first=0x32, mid=b"\0\0")), "link.down", NO_MQTT),
    "an empty topic": Hostile(up_then(message(b"")), "link.down", NO_MQTT),
    "a topic longer than its packet": Hostile(up_then(b"\x30\x03\xff\xffx"), "link.down", NO_MQTT),
    "a length of five bytes": Hostile(up_then(b"\x30\xff\xff\xff\xff\x01"), "link.down", NO_MQTT),
    "a reserved packet": Hostile(up_then(packet(0x00, b"x")), "link.down", NO_MQTT),
    "another CONNACK": Hostile(up_then(ACCEPTED_311), "link.down", NO_MQTT),
    "a SUBSCRIBE to us": Hostile(up_then(packet(0x82, b"\0\1\0\1#\1")), "link.down", NO_MQTT),
    "a 256 MB packet that is no message": Hostile(
        up_then(b"\x90\xff\xff\xff\x7f" + b"\0" * 600_000), "link.down", NO_MQTT
    ),
    "a DISCONNECT with a reason": Hostile(
        says(ACCEPTED_5, GRANTED_5 + packet(0xE0, b"\x98\0")), "link.down", "Administrative action", "5"
    ),
    "broken properties": Hostile(
        says(ACCEPTED_5, GRANTED_5 + message(b"t", b"\xff\xff")), "link.down", NO_MQTT, "5"
    ),
}  # fmt: skip


@pytest.mark.parametrize("brokers", [BEFORE_IT_IS_UP, ONCE_IT_IS_UP], ids=["before", "after"])
async def test_each_broken_rule_is_said_and_a_good_link_notices_nothing(
    world: World, ingest: Service, mosquitto: MakeMosquitto, brokers: dict[str, Hostile]
) -> None:
    good = mosquitto()
    fine = await world.create(good.port, topics=ALL)
    await until_said(world, fine, "link.up")
    async with AsyncExitStack() as stack:
        links, peers = {}, {}
        for name, broker in brokers.items():
            peers[name] = await stack.enter_async_context(peer(broker.answer))
            links[name] = await world.create(peers[name].port, topics=ALL, mqtt_version=broker.version)
        async with mqtt_client(good.port, None, None) as device:
            for number in range(50):
                await device.publish("devices/d/x", b"%d" % number, qos=1)

        async def all_say_so() -> bool:
            heard = await all_said(world)
            for name, broker in brokers.items():
                found = [event for event in heard[links[name]] if event.kind == broker.kind]
                assert found, f"{name}: {heard[links[name]]}"
                assert broker.words in found[0].summary, f"{name}: {found[0]}"
            return True

        await eventually(all_say_so, timeout_s=25, every_s=POLL_S)
        for name in brokers:
            assert (await world.ask_link(GET_STATUS, links[name])).state in ("refused", "connecting", "up"), (
                name
            )
            assert peers[name].connections <= 10, f"{name} is hammered"

        async def all_stored() -> bool:
            return {entry.payload for entry in await world.stored(fine)} == {b"%d" % n for n in range(50)}

        await eventually(all_stored, every_s=POLL_S)
        assert await kinds(world, fine) == ["link.up"]
        for link in (*links.values(), fine):
            await world.delete(link)


async def test_what_is_odd_but_harmless_does_not_end_a_link(world: World, ingest: Service) -> None:
    """Answers to nothing are let pass; a message comes through all the same, at whatever pace."""
    wrong = (
        packet(0x40, b"\0\x63") + packet(0x50, b"\0\x63") + packet(0x62, b"\0\x63") + packet(0x70, b"\0\x63")
        + packet(0x90, b"\0\x63\1") + packet(0xB0, b"\0\x63") + packet(0xD0, b"")
    )  # fmt: skip

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in message(b"devices/d/x", b"whole", first=0x32, mid=b"\0\x09"):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.01)
        await obliging(reader, writer)

    async with peer(up_then(wrong, then=drip)) as odd:
        link = await world.create(odd.port, topics=ALL)

        async def stored() -> bool:
            return [entry.payload for entry in await world.stored(link)] == [b"whole"]

        await until_said(world, link, "link.up")
        await eventually(stored, timeout_s=15, every_s=POLL_S)
        assert await kinds(world, link) == ["link.up"]
        await eventually(lambda: packet(0x40, b"\0\x09") in odd.heard[0])
        await world.delete(link)


async def test_a_broker_that_hangs_up_at_a_filter_of_our_own_is_not_asked_again(
    world: World, ingest: Service
) -> None:
    """Beside what is wanted a link asks for the broker's count of drops; not every broker bears that."""
    peevish = says(ACCEPTED_311, GRANTED, then=says(b"", then=closing))
    async with peer(peevish) as broker:
        link = await world.create(broker.port, topics=ALL)
        await until_said(world, link, "link.up")
        assert broker.connections == 2
        assert b"$SYS" in broker.heard[0]
        assert b"$SYS" not in broker.heard[1]
        await world.delete(link)


NO_TOPICS = (b"plant/#", b"plant/+/x", b"plant\0x", b"t" * 1025, "é".encode() * 513, b"/" * 65_535)


async def test_a_message_to_a_topic_that_is_none_is_dropped_and_said(world: World, ingest: Service) -> None:
    """And acknowledged: a broker would send it for ever."""
    good = message(b"devices/d/x", b"after", first=0x32, mid=b"\0\x02")
    acknowledged = packet(0x40, b"\0\x01"), packet(0x40, b"\0\x02")
    async with AsyncExitStack() as stack:
        links, peers = [], []
        for topic in NO_TOPICS:
            bad = message(topic, first=0x32, mid=b"\0\x01")
            peers.append(await stack.enter_async_context(peer(up_then(bad + good))))
            links.append(await world.create(peers[-1].port, topics=ALL))
        for link, broker in zip(links, peers, strict=True):
            assert (await until_said(world, link, "link.dropped")).reason == "topic.invalid"
            assert [entry.payload for entry in await world.stored(link)] == [b"after"]
            for packet_id in acknowledged:
                await eventually(partial(broker.heard[0].__contains__, packet_id))
            await world.delete(link)


async def until_said(world: World, link: str, kind: str) -> ActivityRecorded:
    async def first() -> ActivityRecorded | None:
        return next((event for event in (await all_said(world))[link] if event.kind == kind), None)

    found = await eventually(first, timeout_s=15, every_s=POLL_S)
    assert found is not None
    return found


async def kinds(world: World, link: str) -> list[str]:
    return [event.kind for event in (await all_said(world))[link]]


async def all_said(world: World) -> dict[str, list[ActivityRecorded]]:
    """By integration."""
    found: dict[str, list[ActivityRecorded]] = defaultdict(list)
    for event in await world.activity():
        found[(event.subject or "").removeprefix("integration:")].append(event)
    return found


@pytest.fixture(autouse=True)
async def _nothing_is_wrong_with_the_service(ingest: Service) -> AsyncIterator[None]:
    yield
    log = ingest.process.log.read_text()
    for defect in ("Traceback", "ended by a defect", "could not be taken"):
        assert defect not in log
