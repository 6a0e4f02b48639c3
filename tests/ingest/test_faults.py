"""Ingest is killed under load, with a ledger: what a broker took from a device is in MESSAGES, once."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from deploy.local.process import Process
from deploy.local.stack import ROOT
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.ingest.ledger import LEASE_S, WINDOW, Ledger, connected
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.service import Service

pytestmark = [pytest.mark.faults]


@pytest.mark.slow
@pytest.mark.parametrize(("version", "qos"), [("3.1.1", 1), ("5", 1), ("3.1.1", 2)])
async def test_killing_ingest_loses_and_doubles_nothing(
    world: World, ingest: Service, mosquitto: MakeMosquitto, version: str, qos: Literal[1, 2]
) -> None:
    broker = mosquitto(settings=WINDOW)
    topics = (TopicFilter(filter="devices/#", qos=qos),)
    link = await world.create(broker.port, topics=topics, mqtt_version=version)
    await connected(world, 1)
    async with Ledger(broker.port, qos=qos) as ledger:
        await asyncio.sleep(1.5)
        ingest.process.kill()
        await asyncio.to_thread(ingest.start)
        await connected(world, 2)
        # Now what had gathered is under way: the worst moment.
        await asyncio.sleep(0.3)
        ingest.process.kill()
        await asyncio.to_thread(ingest.start)
    verdict = await ledger.verdict(world, link, timeout_s=LEASE_S + 5)
    assert verdict.acknowledged > 1000
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict


def pubacks(broker: Mosquitto) -> int:
    """How many the broker had from us: the ledger publishes, and sends none."""
    return (broker.folder / "mosquitto.log").read_text().count("Received PUBACK")


@pytest.mark.slow
@pytest.mark.parametrize("automatic", [False, True])
async def test_only_an_automatic_acknowledgement_loses_what_the_log_had_not_taken(
    own_nats: NatsServer,
    world: World,
    ingest: Service,
    mosquitto: MakeMosquitto,
    tmp_path: Path,
    automatic: bool,
) -> None:
    """The negative control: the same kill, and the ledger sees the difference."""
    module = [str(Path(__file__).with_name("automatic_ack.py"))] if automatic else ["-m", "services.ingest"]
    ingest.process.stop()
    victim = Process(
        "victim",
        [sys.executable, *module],
        log=tmp_path / "victim.log",
        env={**os.environ, **ingest.env, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    broker = mosquitto(settings=WINDOW)
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#"),))
    victim.start()
    try:
        await connected(world, 1)
        async with Ledger(broker.port) as ledger:
            await eventually(lambda: len(ledger.acknowledged) > 100)
            own_nats.pause()
            before = len(ledger.acknowledged)
            await eventually(lambda: len(ledger.acknowledged) > before + 200)
            if automatic:  # the broker must have been told of more than the log has
                told = pubacks(broker)
                await eventually(lambda: pubacks(broker) > told + 100)
            victim.kill()
    finally:
        own_nats.resume()
        victim.stop()
        await asyncio.to_thread(ingest.start)
    verdict = await ledger.verdict(world, link, timeout_s=LEASE_S + 5)
    assert (verdict.lost > 0) == automatic, verdict
    assert verdict.doubled == 0
