"""Subscriptions on a running link: in force within a second, over the same connection."""

from __future__ import annotations

import asyncio
import time

import pytest

from contracts.broker_topics import TopicFilter
from contracts.failures import Unavailable
from contracts.links import GET_STATUS, LinkStatus, LinkSubscription
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World, quiet
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service


async def status(world: World, link: str) -> LinkStatus:
    found: LinkStatus = await world.ask_link(GET_STATUS, link)
    return found


async def subscriptions(world: World, link: str) -> dict[str, LinkSubscription]:
    """None while nobody has the link."""
    try:
        return {each.filter: each for each in (await status(world, link)).subscriptions}
    except Unavailable:
        return {}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_what_is_added_and_removed_is_so_within_a_second_without_a_reconnect(
    world: World, ingest: Service, mosquitto: MakeMosquitto, version: str
) -> None:
    broker = mosquitto()
    first = TopicFilter(filter="a/#")
    link = await world.create(broker.port, topics=(first,), mqtt_version=version)

    async def granted(*filters: str) -> bool:
        held = await subscriptions(world, link)
        return set(held) == set(filters) and all(each.granted_qos is not None for each in held.values())

    await eventually(lambda: granted("a/#"))
    connected = (await status(world, link)).connected_since
    since = (await subscriptions(world, link))["a/#"].since
    begun = time.monotonic()
    second = TopicFilter(filter="b/#", qos=2)
    await world.change(link, broker.port, topics=(first, second), mqtt_version=version)
    await eventually(lambda: granted("a/#", "b/#"))
    assert time.monotonic() - begun < 2  # a second, and one for a busy machine
    async with mqtt_client(broker.port, None, None) as device:
        for topic in ("a/1", "b/1", "b/2", "c/1"):
            await device.publish(topic, b"1", qos=1)

        async def counted() -> bool:
            held = await subscriptions(world, link)
            return (held["a/#"].messages, held["b/#"].messages) == (1, 2)

        await eventually(counted)
        await world.change(link, broker.port, topics=(second,), mqtt_version=version)
        await quiet(1)  # what is wanted is shown at once; that the broker has heard of it is no event
        await device.publish("a/2", b"1", qos=1)
        await device.publish("b/3", b"1", qos=1)

        async def stored() -> bool:
            topics = [message.topic for message in await world.stored(link)]
            assert sorted(topics) == ["a/1", "b/1", "b/2", "b/3"]
            return True

        await eventually(stored)
    held = await subscriptions(world, link)
    assert held["b/#"].qos == held["b/#"].granted_qos == 2
    assert (await status(world, link)).connected_since == connected, "it connected anew"
    assert since is not None
    told = [event.details for event in await world.activity() if event.kind == "link.subscribed"]
    assert [(each["added"], each["removed"]) for each in told] == [(["b/#"], []), ([], ["a/#"])]


async def test_a_reconnect_is_no_new_grant(world: World, ingest: Service, mosquitto: MakeMosquitto) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, topics=(TopicFilter(filter="a/#"),))

    async def connects() -> int:
        return (await world.kinds()).count("link.up")

    await eventually(connects)
    before = (await subscriptions(world, link))["a/#"].since
    assert before is not None
    broker.kill()
    await asyncio.sleep(0.2)
    broker.start()

    async def again() -> bool:
        return (await status(world, link)).reconnects == 1

    await eventually(again, timeout_s=30)
    assert (await subscriptions(world, link))["a/#"].since == before
