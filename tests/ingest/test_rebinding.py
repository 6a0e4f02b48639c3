"""A name that begins to lead elsewhere while its link runs: checked again at each connect, and said."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from contracts.broker_topics import TopicFilter
from contracts.streams import MESSAGES
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK
from runtime.activity import ActivityLog
from runtime.bus import connect
from runtime.log_writer import LogWriter
from runtime.settings import BusSettings
from services.ingest.drops import Drops
from services.ingest.manager import Manager
from services.ingest.network import Network, Resolver
from services.ingest.ownership import Ownership
from services.ingest.policy import Policy, networks
from services.ingest.replicas import Replicas
from services.ingest.routing import Routing
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.eventually import eventually

ELSEWHERE = "127.0.0.2"  # stands for what the operator does not allow
ONLY_THE_BROKER = Policy(networks(f"{LOOPBACK}/32"))


@asynccontextmanager
async def links_of_this_process(server: NatsServer, resolver: Resolver) -> AsyncIterator[None]:
    """Ingest's links as the service has them, but for who resolves names."""
    bus = await connect(
        BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform["ingest"])), "ingest"
    )
    activity = ActivityLog(bus)
    drops, writer = Drops(activity), LogWriter(bus.client, stream=MESSAGES.name)
    replicas = Replicas(bus.client)
    ownership = Ownership(bus.client, replicas)
    manager = Manager(
        bus,
        writer,
        activity,
        drops,
        ownership,
        Routing(bus.client),
        inflight_max=100,
        network=Network(ONLY_THE_BROKER, resolver),
    )
    works = (activity, drops, writer, replicas, ownership, manager)
    tasks = [asyncio.create_task(work.run()) for work in works]
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await bus.broker.stop()


async def test_a_name_that_is_rebound_is_refused_at_the_next_connect(
    world: World, own_nats: NatsServer, mosquitto: MakeMosquitto
) -> None:
    leads_to = [LOOPBACK]

    async def resolver(host: str, port: int) -> list[str]:
        assert host == "plant.example"
        return list(leads_to)

    broker = mosquitto()
    with socket.create_server((ELSEWHERE, broker.port)) as victim:
        victim.settimeout(0)
        async with links_of_this_process(own_nats, resolver):
            link = await world.create(broker.port, host="plant.example", topics=(TopicFilter(filter="#"),))
            await until(world, link, "link.up")
            leads_to[:] = [ELSEWHERE]
            broker.kill()
            refused = await until(world, link, "link.refused")
            assert refused[0] == "address.forbidden"
            assert f"plant.example is {ELSEWHERE}, which is a loopback address" in refused[1]
            await world.delete(link)
        try:
            victim.accept()
        except BlockingIOError:
            reached = False
        else:
            reached = True
        assert not reached


async def test_one_address_among_good_ones_that_may_not_be_connected_to_refuses_the_name(
    world: World, own_nats: NatsServer, mosquitto: MakeMosquitto
) -> None:
    """Else the order of a name server's answer would decide."""

    async def resolver(host: str, port: int) -> list[str]:
        return [LOOPBACK, ELSEWHERE]

    broker = mosquitto()
    async with links_of_this_process(own_nats, resolver):
        link = await world.create(broker.port, host="plant.example", topics=(TopicFilter(filter="#"),))
        assert (await until(world, link, "link.refused"))[0] == "address.forbidden"
        await world.delete(link)


async def until(world: World, link: str, kind: str) -> tuple[str | None, str]:
    """The reason and the words of the first such entry."""

    async def first() -> tuple[str | None, str] | None:
        for event in await world.activity():
            if event.kind == kind and event.subject == f"integration:{link}":
                return event.reason, event.summary
        return None

    found = await eventually(first, timeout_s=20, every_s=0.5)
    assert found is not None
    return found
