"""One owner per link, whoever else runs; and what happens to its lease when the owner goes."""

import asyncio

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually


async def test_two_replicas_share_links_out_and_take_over(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    first = run_service("ingest", own_nats)
    link = await world.create(broker.port, topics=(TopicFilter(filter="#"),))

    async def ups() -> int:
        return (await world.kinds()).count("link.up")

    await eventually(ups)
    second = run_service("ingest", own_nats)
    try:
        await asyncio.sleep(4)  # longer than a renewal: nothing may happen
        assert [kind for kind in await world.kinds() if kind.startswith("link.")] == ["link.up"]
        first.process.stop()  # gives its lease back

        async def taken_over() -> bool:
            return await ups() == 2

        await eventually(taken_over, timeout_s=4)
        async with mqtt_client(broker.port, None, None) as device:
            await device.publish("x", b"1", qos=1)

        async def stored() -> bool:
            return len(await world.stored(link)) == 1

        await eventually(stored)
    finally:
        second.process.stop()
