"""Commands to devices: over a tenant's own broker and over the hosted one, with and without an answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto
from tests.ingest.commanding import Commander
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.service import Service


@pytest.fixture
def commander(world: World) -> Commander:
    return Commander(world)


@pytest.fixture
def broker(mosquitto: MakeMosquitto) -> Mosquitto:
    return mosquitto()


async def link_to(world: World, broker: Mosquitto, **settings: Any) -> str:
    """An integration that is connected."""
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#"),), **settings)

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    return link


@asynccontextmanager
async def device(broker: Mosquitto, filter: str, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    async with mqtt_client(broker.port, None, None, **options) as client:
        await client.subscribe(filter, qos=2)
        yield client


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_command_reaches_a_device_of_the_tenants_broker(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto, qos: int
) -> None:
    link = await link_to(world, broker)
    async with device(broker, "commands/#") as heard:
        id = await commander.order("commands/d1/set/{id}", b"65", integration=link, qos=qos)
        message = await asyncio.wait_for(anext(heard.messages), 10)
    assert (str(message.topic), message.payload, message.qos) == (f"commands/d1/set/{id}", b"65", qos)
    await commander.until(id, "delivered" if qos else "sent")
    assert await commander.kinds(id) == ["queued", "sent", "delivered"][: 3 if qos else 2]


async def test_its_answer_is_found_on_a_topic_that_nobody_subscribed_to(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto
) -> None:
    link = await link_to(world, broker)
    async with device(broker, "commands/#") as heard:
        id = await commander.order(
            "commands/d1/set",
            b'{"correlation_id": "a"}',
            integration=link,
            answer_expected=True,
            response_topic="plant/answers",
            correlation_id="a",
        )
        await asyncio.wait_for(anext(heard.messages), 10)
        await heard.publish("plant/answers", b'{"correlation_id": "of another", "ok": true}', qos=1)
        await heard.publish("plant/answers", b'{"correlation_id": "a", "ok": true}', qos=1)
        held = await commander.until(id, "answered")
    assert held.answer is not None
    assert held.answer.topic == "plant/answers"
    [_, answer] = await world.stored(link)
    assert json.loads(answer.payload)["correlation_id"] == "a"

    async def left() -> bool:
        async with mqtt_client(broker.port, None, None) as other:
            await other.publish("plant/answers", b"later", qos=1)
        before = len(await world.stored(link))
        await asyncio.sleep(0.3)
        return len(await world.stored(link)) == before

    await eventually(left)


async def test_mqtt_5_tells_the_device_where_to_answer_and_until_when(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto
) -> None:
    link = await link_to(world, broker, mqtt_version="5")
    async with device(broker, "commands/#", protocol=aiomqtt.ProtocolVersion.V5) as heard:
        id = await commander.order(
            "commands/d1/set",
            integration=link,
            answer_expected=True,
            response_topic="devices/d1/responses/{id}",
        )
        message = await asyncio.wait_for(anext(heard.messages), 10)
        properties: Any = message.properties
        said = properties.json()
        assert said["ResponseTopic"] == f"devices/d1/responses/{id}"
        assert properties.CorrelationData == id.encode()
        assert 50 <= said["MessageExpiryInterval"] <= 60
        await heard.publish(said["ResponseTopic"], b"done", qos=1)
        await commander.until(id, "answered")


async def test_on_a_shared_topic_mqtt_5_tells_the_answers_apart(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto
) -> None:
    link = await link_to(world, broker, mqtt_version="5")
    async with device(broker, "commands/#", protocol=aiomqtt.ProtocolVersion.V5) as heard:
        ids = [
            await commander.order(
                f"commands/d{number}/set",
                integration=link,
                answer_expected=True,
                response_topic="plant/answers",
                device_id=f"d{number}",
            )
            for number in range(3)
        ]
        asked = [await asyncio.wait_for(anext(heard.messages), 10) for _ in ids]
        for message in reversed(asked):  # the last one first
            properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            received: Any = message.properties
            properties.CorrelationData = received.CorrelationData
            await heard.publish("plant/answers", message.topic.value, qos=1, properties=properties)
        for number, id in enumerate(ids):
            held = await commander.until(id, "answered")
            assert held.answer is not None
            assert base64.b64decode(held.answer.payload).decode() == f"commands/d{number}/set"


async def test_that_nobody_subscribes_is_told_where_the_broker_tells_it(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto
) -> None:
    link = await link_to(world, broker, mqtt_version="5")
    id = await commander.order("commands/nobody", integration=link)
    assert (await commander.until(id, "delivered")).remark == "No matching subscribers"


async def test_one_for_a_broker_that_is_away_waits_and_is_sent_when_it_is_back(
    world: World, ingest: Service, commander: Commander, broker: Mosquitto
) -> None:
    link = await link_to(world, broker)
    broker.kill()
    ids = [await commander.order(f"commands/d1/{number}", integration=link) for number in range(5)]
    short = await commander.order("commands/d1/short", integration=link, expires_in_s=1)
    await commander.until(short, "expired")
    broker.start()
    async with device(broker, "commands/#") as heard:
        for id in ids:
            await commander.until(id, "delivered", timeout_s=60)
        topics = [str((await asyncio.wait_for(anext(heard.messages), 10)).topic) for _ in ids]
    assert topics == sorted(set(topics))[-len(topics) :], "not in order"
    assert "commands/d1/short" not in topics
    assert await commander.kinds(short) == ["queued", "expired"]


async def test_one_that_nobody_answers_expires(world: World, ingest: Service, commander: Commander) -> None:
    topic = f"{world.organization}/commands/d1/set"
    id = await commander.order(topic, answer_expected=True, expires_in_s=2)
    held = await commander.until(id, "expired")
    assert held.delivered_at is not None

    async def said() -> bool:
        return "command.expired" in await world.kinds()

    await eventually(said)


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("own_topic", [True, False])
async def test_the_answer_of_a_hosted_device_is_read_from_the_log(
    own_nats: NatsServer, world: World, ingest: Service, commander: Commander, qos: int, own_topic: bool
) -> None:
    organization = world.organization
    more: dict[str, Any] = {} if own_topic else {"response_topic": f"{organization}/devices/d.1/ack"}
    id = await commander.order(f"{organization}/commands/d.1/set", answer_expected=True, **more)
    await commander.until(id, "delivered")
    async with platform_mqtt_client(own_nats) as client:
        topic = (await commander.command(id)).queued.response_topic
        await client.publish(topic, b'{"ok": true}', qos=qos)
    held = await commander.until(id, "answered")
    assert held.answer is not None
    assert held.answer.payload == "eyJvayI6IHRydWV9"

    async def said() -> bool:
        return "command.answered" in await world.kinds()

    await eventually(said)


async def test_the_answer_of_another_organization_is_none(
    own_nats: NatsServer, world: World, ingest: Service, commander: Commander
) -> None:
    organization = world.organization
    id = await commander.order(f"{organization}/commands/d1/set", answer_expected=True, expires_in_s=3)
    await commander.until(id, "delivered")
    async with platform_mqtt_client(own_nats) as client:
        await client.publish(f"org_somebodyelse0000/devices/d1/responses/{id}", b"forged", qos=1)
        await client.publish(f"{organization}/devices/d1/responses/{id}x", b"mistyped", qos=1)
    await commander.until(id, "expired")


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_the_broker_refuses_has_failed(
    world: World, ingest: Service, commander: Commander, mosquitto: MakeMosquitto, qos: int
) -> None:
    """Of a broker that says so: MQTT 5."""
    broker = mosquitto(acl=["topic readwrite devices/#"])
    link = await link_to(world, broker, mqtt_version="5")
    id = await commander.order("commands/d1/set", integration=link, qos=qos)
    held = await commander.until(id, "failed")
    assert held.failure is not None
    assert (held.failure.code, held.failure.detail) == (
        "broker.refused",
        "the broker refused it: Not authorized",
    )
    after = await commander.order("devices/d1/set", integration=link, qos=qos)
    await commander.until(after, "delivered")
