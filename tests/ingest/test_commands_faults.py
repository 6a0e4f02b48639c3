"""Commands to devices through SIGKILL of ingest: each is sent at least once, and no answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto
from tests.ingest.commanding import Commander
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service

COMMANDS = 60


@pytest.mark.faults
async def test_every_command_arrives_though_ingest_is_killed(
    world: World, run_ingest: Callable[..., Service], mosquitto: MakeMosquitto
) -> None:
    broker, commander = mosquitto(), Commander(world)
    service = run_ingest()
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#"),))

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    async with mqtt_client(broker.port, None, None) as device:
        await device.subscribe("commands/#", qos=1)
        first = await commander.order(
            "commands/d9/go", integration=link, answer_expected=True, response_topic="devices/d9/ack"
        )
        await commander.until(first, "delivered")
        await asyncio.wait_for(anext(device.messages), 10)
        ids = [
            await commander.order(f"commands/d{number % 5}/{number}", integration=link)
            for number in range(COMMANDS)
        ]
        await commander.until(ids[10], "delivered")
        service.process.kill()
        await device.publish("devices/d9/ack", b"while nobody was there", qos=1)
        late = [await commander.order(f"commands/d7/{number}", integration=link) for number in range(20)]
        short = await commander.order("commands/d7/short", integration=link, expires_in_s=1)
        await asyncio.sleep(1.1)  # it is too late now, whoever comes
        service.start()
        topics: list[str] = []
        while len(set(topics)) < COMMANDS + len(late):
            topics.append(str((await asyncio.wait_for(anext(device.messages), 60)).topic))
        for id in (*ids, *late):
            await commander.until(id, "delivered", timeout_s=30)
        await commander.until(first, "answered", timeout_s=30)
        await commander.until(short, "expired", timeout_s=30)
    assert "commands/d7/short" not in topics
    again = len(topics) - len(set(topics))
    assert again <= 16, f"{again} were sent again: more than were on their way"
    for number in range(5):  # copies apart, in order
        of_device = [topic for topic in dict.fromkeys(topics) if topic.startswith(f"commands/d{number}/")]
        assert of_device == [f"commands/d{number}/{each}" for each in range(number, COMMANDS, 5)]


@pytest.mark.faults
async def test_another_replica_goes_on_for_the_hosted_broker(
    own_nats: NatsServer, world: World, run_ingest: Callable[..., Service]
) -> None:
    """Whichever of the two it was that oversaw."""
    commander = Commander(world)
    services = [run_ingest(), run_ingest()]
    organization = world.organization
    topic = f"{organization}/commands/d1/go"
    async with platform_mqtt_client(own_nats) as client:
        for victim in services:
            id = await commander.order(topic, answer_expected=True)
            await commander.until(id, "delivered", timeout_s=40)
            victim.process.kill()
            await client.publish(f"{organization}/devices/d1/responses/{id}", b"ok", qos=1)
            await commander.until(id, "answered", timeout_s=40)
            victim.start()
    for service in services:
        service.process.stop()
