"""Hubs that wait for a reply get it, once their message is in the log; nobody else does."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.frames import Incoming
from services.ingest.replies import WAITING_MAX, Replies
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World, quiet
from tests.ingest.hubs import REPORT, TOPIC, save, up
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_hub_hears_that_its_report_is_stored(
    world: World, ingest: Service, mosquitto: MakeMosquitto, version: str
) -> None:
    broker = mosquitto()
    await save(world, "int_vmark", broker, "vmark", version=version)
    await up(world)
    async with mqtt_client(broker.port, None, None) as hub:
        await hub.subscribe(f"{TOPIC}_reply", qos=1)
        for number in range(3):
            await hub.publish(TOPIC, REPORT, qos=number % 2)
            reply = await asyncio.wait_for(anext(hub.messages), 10)
            assert (str(reply.topic), reply.payload, reply.qos) == (f"{TOPIC}_reply", b'{"result":0}', 0)
            assert len(await world.stored("int_vmark")) >= number + 1
        other = REPORT.replace(b"properties_report", b"properties_query")
        for payload in (other, b"no json properties_report", b'["properties_report"]'):
            await hub.publish(TOPIC, payload, qos=1)
        await hub.publish(TOPIC, REPORT, qos=1)
        await asyncio.wait_for(anext(hub.messages), 10)
        await quiet(0.3)
        assert len(hub.messages) == 0


async def test_a_retained_copy_is_not_replied_to(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    async with mqtt_client(broker.port, None, None) as hub:
        await hub.subscribe(f"{TOPIC}_reply", qos=1)
        await hub.publish(TOPIC, REPORT, qos=1, retain=True)
        await save(world, "int_retained", broker, "vmark")

        async def stored() -> bool:
            return len(await world.stored("int_retained")) == 1

        await eventually(stored)
        await quiet(0.3)
        assert len(hub.messages) == 0


async def test_replies_begin_and_end_with_the_decoder(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    last = await save(world, "int_choosing", broker, "standard")
    await up(world)
    async with mqtt_client(broker.port, None, None) as hub:
        await hub.subscribe(f"{TOPIC}_reply", qos=1)
        await hub.publish(TOPIC, REPORT, qos=1)

        async def stored() -> bool:
            return len(await world.stored("int_choosing")) == 1

        await eventually(stored)
        assert len(hub.messages) == 0
        last = await save(world, "int_choosing", broker, "vmark", expected=last)

        async def replied() -> bool:
            await hub.publish(TOPIC, REPORT, qos=1)
            await asyncio.sleep(0.1)
            return len(hub.messages) > 0

        await eventually(replied)
    kinds = await world.kinds()
    assert kinds.count("link.up") == 1, "it connected anew"


class Ears:
    """A session as far as replies know it."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unsent = 0
        self.posted: list[tuple[str, bytes]] = []

    def post(self, messages: list[tuple[str, bytes]]) -> None:
        self.posted += messages


def report(*, retain: bool = False, dup: bool = False) -> Incoming:
    return Incoming(TOPIC, REPORT, 1, retain, dup, 7, None)


async def posted(ears: Ears, *messages: Incoming, present: Ears | None = None) -> int:
    hook = Replies(lambda: present).hook("vmark")  # type: ignore[arg-type,return-value]
    assert hook is not None
    for message in messages:
        hook(ears, message)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    return len(ears.posted)


async def test_what_waits_is_bounded() -> None:
    assert await posted(Ears(), *[report()] * (WAITING_MAX + 5)) == WAITING_MAX


async def test_a_broker_that_takes_nothing_is_sent_no_more() -> None:
    ears = Ears()
    ears.unsent = 300_000
    assert await posted(ears, report()) == 0


async def test_a_redelivered_copy_is_replied_to_and_a_retained_one_is_not() -> None:
    assert await posted(Ears(), report(dup=True), report(retain=True)) == 1


async def test_over_a_connection_that_ended_the_present_one_is_taken() -> None:
    gone, present = Ears(), Ears()
    gone.ended.set_result("over")
    assert await posted(gone, report(), present=present) == 0
    assert len(present.posted) == 1


@pytest.mark.parametrize("decoder", ["standard", "raw", "custom", "no such"])
def test_other_decoders_look_at_nothing(decoder: str) -> None:
    assert Replies(lambda: None).hook(decoder) is None
