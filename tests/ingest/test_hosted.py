"""QoS 0 of the hosted broker comes through ingest, QoS 1 and 2 by the server's own source: each once."""

from deploy.local.nats import NatsServer
from tests.ingest.conftest import World
from tests.support.clients import platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service


async def test_every_qos_arrives_once(own_nats: NatsServer, ingest: Service, world: World) -> None:
    topic = f"{world.organization}/devices/dev.1/telemetry"
    async with platform_mqtt_client(own_nats) as client:
        for number in range(300):
            await client.publish(topic, f"{number}".encode(), qos=number % 3)

    async def all_there() -> bool:
        return len(await world.stored("hosted")) >= 300

    await eventually(all_there)
    found = await world.stored("hosted")
    assert sorted(int(message.payload) for message in found) == list(range(300))
    assert {message.topic for message in found} == {topic}
    assert [message.qos for message in sorted(found, key=lambda m: int(m.payload))] == [0, 1, 2] * 100
    assert {message.hosted_device for message in found} == {"dev.1"}


async def test_order_holds_within_qos_0(own_nats: NatsServer, ingest: Service, world: World) -> None:
    async with platform_mqtt_client(own_nats) as client:
        for number in range(500):
            await client.publish(f"{world.organization}/devices/d/data", f"{number}".encode())

    async def all_there() -> bool:
        return len(await world.stored("hosted")) == 500

    await eventually(all_there)
    assert [int(message.payload) for message in await world.stored("hosted")] == list(range(500))


async def test_a_topic_without_a_channel_is_not_captured(
    own_nats: NatsServer, ingest: Service, world: World
) -> None:
    async with platform_mqtt_client(own_nats) as client:
        await client.publish(f"{world.organization}/devices/d", b"lost")
        await client.publish(f"{world.organization}/devices/d/x", b"kept")

    async def kept() -> bool:
        return bool(await world.stored("hosted"))

    await eventually(kept)
    assert [message.payload for message in await world.stored("hosted")] == [b"kept"]
