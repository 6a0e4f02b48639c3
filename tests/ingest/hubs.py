"""A vmark hub's report, and integrations that decode it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from contracts import subjects
from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.envelope import Cause
from contracts.integrations import DecoderChoice, IntegrationChanged, IntegrationCreated
from deploy.local.ports import LOOPBACK
from runtime.event_log import Append, EventLog
from tests.ingest.conftest import World
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto

TOPIC = (
    "$sys/version/1.0/devices/2400390030314701/product/VTS13W01/mac/A4E57C000001/dev_protocol/1/properties/up"
)
REPORT = json.dumps(
    {"device": "2400390030314701", "handle": "properties_report", "paras": {"temperature": 22.77}}
).encode()
FILTER = TopicFilter(filter="$sys/version/+/devices/#", qos=1)


async def save(
    world: World, id: str, broker: Mosquitto, decoder: str, *, expected: int = 0, version: str = "3.1.1"
) -> int:
    kind: Any = IntegrationChanged if expected else IntegrationCreated
    settings = broker_settings(host=LOOPBACK, port=broker.port, mqtt_version=version)
    event = kind(name=id, settings=settings, topics=(FILTER,), decoder=DecoderChoice(name=decoder))
    append = Append(subjects.registry(world.organization, "integration", id), event, expected)
    log = EventLog(world._clients["credentials"], "REGISTRY")
    [done] = await log.append([append], cause=Cause("test", "test"), now=datetime.now(UTC))
    return done.sequence


async def up(world: World) -> None:
    async def said() -> bool:
        return "link.up" in await world.kinds()

    await eventually(said)
