"""Replies through SIGKILL of ingest: none before its message is in the log, and then one."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World, quiet
from tests.ingest.hubs import REPORT, TOPIC, save, up
from tests.support.clients import mqtt_client


@pytest.mark.faults
async def test_a_hub_whose_report_was_not_acknowledged_hears_of_it_after_a_restart(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    """What the broker kept for us while nobody was there is replied to when it is stored."""
    broker = mosquitto()
    service = run_service("ingest", own_nats)
    await save(world, "int_away", broker, "vmark")
    await up(world)
    service.process.kill()
    async with mqtt_client(broker.port, None, None) as hub:
        await hub.subscribe(f"{TOPIC}_reply", qos=1)
        await hub.publish(TOPIC, REPORT, qos=1)
        await quiet(0.3)
        assert len(hub.messages) == 0, "a reply before the message was in the log"
        service.start()
        reply = await asyncio.wait_for(anext(hub.messages), 40)
        assert reply.payload == b'{"result":0}'
        assert REPORT in [message.payload for message in await world.stored("int_away")]
    service.process.stop()
