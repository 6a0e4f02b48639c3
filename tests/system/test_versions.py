"""Two versions side by side on one log: the older one passes over what it does not know, and touches nothing of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.envelope import ACTOR, ID, SOURCE, TIME, TYPE
from deploy.local.environment import SERVICES
from deploy.local.stack import Stack, says_ready
from tests.support.clients import platform_client
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system


def newer(stack: Stack, user: str, subject: str, kind: str) -> int:
    """Appends an event as a newer version of a service would; its sequence."""
    headers = {
        ID: str(uuid4()),
        TYPE: kind,
        SOURCE: user,
        TIME: datetime.now(UTC).isoformat(),
        ACTOR: "key:newer",
    }

    async def append() -> int:
        async with platform_client(stack.nats, user) as client:
            body = json.dumps({"what": "an older version cannot know"}).encode()
            answer = await client.request(subject, body, headers=headers, timeout=10)
            return int(json.loads(answer.data)["seq"])

    return asyncio.run(append())


def ready(stack: Stack) -> bool:
    ports = [stack._ports.health[name] for name in SERVICES[:3]]
    return all(map(says_ready, [*ports, stack._ports.http]))


@pytest.fixture
def tenant(stack: Stack) -> Tenant:
    return Tenant(stack)


def test_the_registrys_readers_pass_over_a_newer_event_and_go_on(stack: Stack, tenant: Tenant) -> None:
    held = tenant.issue("d1")
    at = f"registry.{tenant.id}"
    newer(stack, "credentials", f"{at}.credential.{held.id}", "credential.relocated.v1")
    newer(stack, "credentials", f"{at}.credential.{uuid4().hex}", "credential.issued.v99")
    newer(stack, "credentials", f"{at}.gizmo.{uuid4().hex}", "gizmo.made.v1")
    newer(stack, "credentials", f"{at}.integration.{uuid4().hex}", "integration.created.v99")
    # What is written behind them is read by everybody: the gateway knows the new key, telemetry the integration.
    after = tenant.issue("d2")
    client = after.client()
    client.connect("127.0.0.1", int(stack.addresses.mqtt.rpartition(":")[2]))
    client.loop_start()
    client.publish(after.topic("devices/d2/telemetry"), b'{"a": 1}', qos=1).wait_for_publish(20)
    eventually_now(lambda: tenant.get("/telemetry", device_id="d2")["items"])
    client.disconnect()
    client.loop_stop()
    assert tenant.get(f"/credentials/{held.id}")["state"] == "active"
    assert ready(stack)


def test_an_older_version_does_not_write_over_what_it_does_not_know(stack: Stack, tenant: Tenant) -> None:
    held = tenant.issue("d3")
    newer(stack, "credentials", f"registry.{tenant.id}.credential.{held.id}", "credential.relocated.v1")
    answer = tenant.http.post(f"/v1/credentials/{held.id}/revoke", json={})
    assert answer.status_code in (409, 503), answer.text
    assert tenant.get(f"/credentials/{held.id}")["state"] == "active"


def test_projections_pass_over_newer_events_and_store_what_comes_behind(stack: Stack, tenant: Tenant) -> None:
    newer(stack, "gateway", f"activity.{tenant.id}.dreamt", "activity.dreamt.v1")
    newer(stack, "gateway", f"device-command.{tenant.id}.{uuid4().hex}", "device-command.whispered.v1")
    newer(stack, "telemetry", f"alert.{tenant.id}.{uuid4().hex}", "alert.snoozed.v1")
    device = tenant.issue("d4")
    eventually_now(
        lambda: [each for each in tenant.get("/activity")["items"] if device.id in json.dumps(each)]
    )
    assert ready(stack)
