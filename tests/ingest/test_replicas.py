"""Several replicas: each link has one owner, and whoever goes is followed within seconds."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.ingest.ledger import Ledger
from tests.ingest.replicas import ALL, WINDOW, owner_of, status, until_up
from tests.support.eventually import eventually
from tests.support.service import Service


@pytest.fixture
def two(own_nats: NatsServer, run_service: RunService) -> Iterator[list[Service]]:
    """Two replicas of ingest."""
    replicas = [run_service("ingest", own_nats) for _ in range(2)]
    yield replicas
    for replica in replicas:
        replica.process.signal(signal.SIGCONT)
        replica.process.stop()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_replica_that_goes_is_followed_and_no_other_link_is_touched(
    world: World, two: list[Service], mosquitto: MakeMosquitto, how: str
) -> None:
    broker = mosquitto()
    links = [await world.create(broker.port, topics=ALL) for _ in range(8)]
    await until_up(world, *links)
    victim = await owner_of(world, links[0], two)
    before = {link: await status(world, link) for link in links}
    if how == "killed":
        victim.process.kill()
    else:
        await asyncio.to_thread(victim.process.stop)
    await until_up(world, *links)  # how long it takes is told by `make bench ONLY=links`
    for link in links:
        was, now = before[link], await status(world, link)
        assert was is not None
        assert now is not None
        if was.owner == now.owner:
            assert was.since == now.since, "a link whose owner lives was touched"


async def test_an_owner_that_was_frozen_stores_nothing_twice_and_takes_nothing_back(
    world: World, two: list[Service], mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(settings=WINDOW)
    link = await world.create(broker.port, topics=ALL)
    await until_up(world, link)
    frozen = await owner_of(world, link, two)
    async with Ledger(broker.port) as ledger:
        await eventually(lambda: len(ledger.acknowledged) > 500)
        frozen.process.signal(signal.SIGSTOP)
        await until_up(world, link)
        before = len(ledger.acknowledged)
        await eventually(lambda: len(ledger.acknowledged) > before + 500)
        frozen.process.signal(signal.SIGCONT)
        await asyncio.sleep(2)  # what it had in hand it now tries to store
        assert await owner_of(world, link, two) is not frozen
    verdict = await ledger.verdict(world, link, timeout_s=10)
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict
