"""Publishing out: with QoS and retain, on an external broker and on the hosted one."""

import base64
from typing import Any

import pytest

from contracts.integrations import PUBLISH
from deploy.local.nats import NatsServer
from deploy.local.stack import says_ready
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service


async def publish(
    world: World, integration: str, topic: str, payload: bytes = b"on", **more: Any
) -> dict[str, Any]:
    body = base64.b64encode(payload).decode()
    answer: dict[str, Any] = await world.call(
        PUBLISH, integration=integration, topic=topic, payload=body, **more
    )
    return answer


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_retained_publish_reaches_the_external_broker(
    world: World, ingest: Service, mosquitto: MakeMosquitto, qos: int, version: str
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, mqtt_version=version)

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    answer = await publish(world, link, "lamp/set", qos=qos, retain=True)
    assert answer["ok"]["acknowledged"] == (qos > 0)
    async with mqtt_client(broker.port, None, None) as late:
        await late.subscribe("lamp/#", qos=2)
        message = await anext(late.messages)
    assert (str(message.topic), message.payload, message.qos, message.retain) == (
        "lamp/set",
        b"on",
        qos,
        True,
    )

    async def told() -> bool:
        return "publish.ok" in await world.kinds()

    assert await eventually(told)


async def test_a_link_that_is_not_connected_says_so(world: World, ingest: Service) -> None:
    answer = await publish(world, "int_unknown", "x")
    assert answer["failure"]["code"] == "link.down"

    async def said() -> bool:
        return "publish.failed" in await world.kinds()

    await eventually(said)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_command_reaches_a_hosted_device(
    own_nats: NatsServer, world: World, ingest: Service, qos: int
) -> None:
    answer = await publish(world, "hosted", "commands/d1/set", qos=qos, retain=True)
    assert answer["ok"]["acknowledged"] == (qos > 0)


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_is_published_as_a_device_is_a_message_of_it(
    own_nats: NatsServer, world: World, ingest: Service, qos: int
) -> None:
    await publish(world, "hosted", f"{world.organization}/devices/d1/telemetry", b"21.5", qos=qos)

    async def there() -> bool:
        return bool(await world.stored("hosted"))

    await eventually(there)
    [message] = await world.stored("hosted")
    assert (message.topic, message.payload) == (f"{world.organization}/devices/d1/telemetry", b"21.5")


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("org_somebodyelse0000/devices/d1/telemetry", "topic.forbidden"),
        ("somewhere", "topic.forbidden"),
        ("$SYS/x", "topic.invalid"),
        ("devices/+/x", "topic.invalid"),
        ("devices/d1/>", "topic.invalid"),
        ("devices/d1/a b", "topic.invalid"),
        ("devices/d1", "topic.invalid"),
    ],
)
async def test_outside_its_own_space_nothing_is_published(
    world: World, ingest: Service, topic: str, code: str
) -> None:
    answer = await publish(world, "hosted", topic)
    assert answer["failure"]["code"] == code


async def test_the_hosted_broker_is_found_again_after_a_restart(
    own_nats: NatsServer, world: World, ingest: Service
) -> None:
    own_nats.kill()
    own_nats.start()
    await eventually(lambda: says_ready(ingest.port))

    async def published() -> bool:
        return "ok" in await publish(world, "hosted", "devices/d1/telemetry", qos=1)

    await eventually(published, timeout_s=20, every_s=0.2)
    async with platform_mqtt_client(own_nats) as client:
        await client.publish(f"{world.organization}/devices/d1/telemetry", b"0")
