"""What cannot be stored is dropped, counted and said; what must not be dropped waits."""

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually


async def dropped(world: World, kind: str) -> int:
    return sum(event.details["dropped"] for event in await world.activity() if event.kind == kind)


async def test_a_flood_of_hosted_qos_0_is_dropped_and_said_to_the_last_message(
    own_nats: NatsServer, world: World, run_service: RunService
) -> None:
    small = run_service("ingest", own_nats, QOS0_WAITING_MAX="5")
    try:
        async with platform_mqtt_client(own_nats) as client:
            for _ in range(3000):
                await client.publish(f"{world.organization}/devices/d/x", b"1" * 100)

        async def all_accounted_for() -> bool:
            return len(await world.stored("hosted")) + await dropped(world, "hosted.overload") == 3000

        await eventually(all_accounted_for, timeout_s=15)
        assert await dropped(world, "hosted.overload") > 0
    finally:
        small.process.stop()


@pytest.mark.parametrize("size", [256 * 1024 + 1, 2 * 1024 * 1024])
async def test_a_payload_that_is_too_large_does_not_stop_the_link(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto, size: int
) -> None:
    broker = mosquitto()
    ingest = run_service("ingest", own_nats)
    link = await world.create(broker.port, topics=(TopicFilter(filter="#"),))
    try:

        async def up() -> bool:
            return "link.up" in await world.kinds()

        await eventually(up)
        async with mqtt_client(broker.port, None, None) as device:
            await device.publish("big", b"x" * size, qos=1)
            await device.publish("largest", b"x" * 256 * 1024, qos=1)
            await device.publish("next", b"y", qos=1)

        async def accounted_for() -> bool:
            return len(await world.stored(link)) == 2 and await dropped(world, "link.dropped") == 1

        await eventually(accounted_for, timeout_s=15)
        assert [message.topic for message in await world.stored(link)] == ["largest", "next"]
        assert [kind for kind in await world.kinds() if kind.startswith("link.")] == [
            "link.up",
            "link.dropped",
        ]
    finally:
        ingest.process.stop()


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_link_that_is_too_fast_is_held_back(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto, qos: int
) -> None:
    broker = mosquitto(settings={"max_inflight_messages": "0"})
    ingest = run_service("ingest", own_nats, LINK_INFLIGHT_MAX="10")
    link = await world.create(broker.port, topics=(TopicFilter(filter="#"),))
    try:

        async def up() -> bool:
            return "link.up" in await world.kinds()

        await eventually(up)
        async with mqtt_client(broker.port, None, None) as device:
            for number in range(3000):
                await device.publish("devices/d/telemetry", f"{number}".encode(), qos=qos)

        async def there() -> bool:
            return len(await world.stored(link)) == 3000

        await eventually(there, timeout_s=20)
        assert [int(message.payload) for message in await world.stored(link)] == list(range(3000))
    finally:
        ingest.process.stop()
