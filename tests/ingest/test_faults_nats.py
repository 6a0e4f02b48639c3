"""NATS is killed and paused under load, with a ledger: what a broker took from a device is in MESSAGES, once."""

import asyncio

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.ingest.ledger import LEASE_S, WINDOW, Ledger, connected
from tests.support.service import Service

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("away_s", [1.0, pytest.param(12.0, marks=pytest.mark.slow)])
async def test_killing_nats_loses_and_doubles_nothing(
    own_nats: NatsServer, world: World, ingest: Service, mosquitto: MakeMosquitto, away_s: float
) -> None:
    broker = mosquitto(settings=WINDOW)
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#"),))
    await connected(world, 1)
    async with Ledger(broker.port) as ledger:
        await asyncio.sleep(1)
        own_nats.kill()
        await asyncio.sleep(away_s)
        await asyncio.to_thread(own_nats.start)
        await asyncio.sleep(1)
    verdict = await ledger.verdict(world, link, timeout_s=LEASE_S + 5)
    assert verdict.acknowledged > 1000
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict


async def test_a_paused_nats_loses_and_doubles_nothing(
    own_nats: NatsServer, world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(settings=WINDOW)
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#"),))
    await connected(world, 1)
    async with Ledger(broker.port) as ledger:
        await asyncio.sleep(0.5)
        own_nats.pause()
        await asyncio.sleep(7)
        own_nats.resume()
        await asyncio.sleep(0.5)
    verdict = await ledger.verdict(world, link, timeout_s=LEASE_S + 5)
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict
