"""By HTTP a sender's filters cover the topic: no payload makes its message another device's."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import subjects
from contracts.decoders.choice import SETTLES_NS
from contracts.envelope import Cause
from contracts.integrations import DecoderChoice, HostedIntegrationChanged
from contracts.telemetry import LIST_TELEMETRY, ListTelemetry
from deploy.local.nats import NatsServer
from runtime.event_log import Append, EventLog
from tests.support.clients import platform_client
from tests.telemetry.world import World, organization

PATHS = {"device_id_path": "sn", "telemetry_path": "v"}
EXPRESSION = {
    "expression": {"language": "jsonata", "source": '{"device_id": payload.sn, "readings": payload.v}'}
}


async def hosted_by(server: NatsServer, org: str, **settings: Any) -> None:
    """From now on its hosted messages, and those by HTTP, are read so."""
    async with platform_client(server, "credentials") as client:
        changed = HostedIntegrationChanged(name="h", decoder=DecoderChoice(name="custom", settings=settings))
        append = Append(subjects.registry(org, "integration", "hosted"), changed, 0)
        cause = Cause("key:k", "credentials")
        await EventLog(client, "REGISTRY").append([append], cause=cause, now=datetime.now(UTC))


@pytest.mark.parametrize("settings", [PATHS, EXPRESSION], ids=["paths", "expression"])
async def test_the_topics_device_outranks_the_payloads_by_http_and_by_mqtt(
    here: World, own_nats: NatsServer, settings: dict[str, Any]
) -> None:
    org = organization()
    await hosted_by(own_nats, org, **settings)
    await asyncio.sleep(SETTLES_NS / 1e9)  # until then what comes is read as before, by every replica
    payload = {"sn": "d2", "v": {"t": 1}}
    await here.hosted(org, "d1", payload)
    await here.bridged(org, "http", f"{org}/devices/d1/telemetry", payload)
    await here.stored(await here.bridged(org, "http", f"{org}/gateways/g1", payload))
    rows = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    found = sorted((row.integration_id, row.device_id) for row in rows)
    assert found == [("hosted", "d1"), ("http", "d1"), ("http", "d2")], (
        "a topic without a device vouches for none"
    )
