"""Who may connect to the hosted broker, asked by real MQTT clients over TCP and WebSocket."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import nats.errors
import pytest

from contracts import subjects
from contracts.organizations import DELETE_ORGANIZATION, PLATFORM, DeleteOrganization, OrganizationIssued
from contracts.secrets_format import mint
from contracts.streams import MESSAGES, PAYLOAD_BYTES_MAX, STREAMS
from deploy.local import environment
from runtime import rpc
from runtime.bus import Bus
from runtime.provision import provision_stream
from tests.conftest import MakeNats
from tests.credentials.parts import (
    ADMIN,
    CredentialsService,
    activity,
    assert_refused,
    credentials_service,
    device_client,
    entries,
    new_device,
    new_organization,
    platform_bus,
    revoke,
)
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.service import run_module

both = pytest.mark.parametrize("websocket", [False, True], ids=["tcp", "websocket"])


async def refused_reason(service: CredentialsService, organization: str) -> str | None:
    """The reason of the newest refusal in this organization's activity."""

    async def newest() -> str | None:
        found = await activity(service, organization, "device.refused")
        return found[-1][1].reason if found else None

    return await eventually(newest)


@both
async def test_a_device_comes_in_publishes_and_gets_its_commands(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, websocket: bool
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    async with (
        device_client(service, device, websocket=websocket) as client,
        platform_mqtt_client(service.nats) as platform,
    ):
        await client.publish(f"{organization.id}/devices/d1/telemetry", b'{"t":1}', qos=1)
        for qos in (1, 2):
            await client.subscribe(f"{organization.id}/commands/d1/#", qos=qos)
            await platform.publish(f"{organization.id}/commands/d1/go", b"now", qos=qos)
            message = await anext(client.messages)
            assert message.payload == b"now"
            assert message.qos > 0


async def test_the_client_id_may_have_a_suffix(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    async with (
        device_client(service, device, client_id=f"{device.client_id}-a"),
        device_client(service, device, client_id=f"{device.client_id}-b"),
    ):
        pass


@both
async def test_another_client_id_is_refused(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, websocket: bool
) -> None:
    device = await new_device(gateway, organization)
    await assert_refused(device_client(service, device, client_id="mine", websocket=websocket))
    assert await refused_reason(service, organization.id) == "connect.client_id"
    [(recorded, event)] = await activity(service, organization.id, "device.refused")
    assert event.status == "refused"
    assert event.subject == f"credential:{device.id}"
    assert event.details == {"username": device.username, "client_id": "mine", "address": "127.0.0.1"}
    assert recorded.actor == f"device:{device.id}"


async def test_a_wrong_password_is_refused_and_its_tenant_is_told(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    await assert_refused(device_client(service, device, password=mint("dev")))
    assert await refused_reason(service, organization.id) == "connect.unknown"


@pytest.mark.parametrize("username", ["cred_0000000000000000", "nobody", "hmq_dev_leaked", "x" * 3000])
async def test_a_stranger_is_refused_and_the_operator_is_told(
    service: CredentialsService, username: str
) -> None:
    before = len(await activity(service, PLATFORM, "device.refused"))
    await assert_refused(mqtt_client(service.nats.ports.mqtt, username, mint("dev"), identifier="x"))

    async def told() -> bool:
        found = await activity(service, PLATFORM, "device.refused")
        return len(found) > before or before >= 5  # after the first five of an address they are counted

    await eventually(told)
    assert "hmq_dev_leaked" not in service.output()


async def test_a_revoked_credential_is_refused(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    await revoke(gateway, organization, device)
    await assert_refused(device_client(service, device))
    assert await refused_reason(service, organization.id) == "connect.revoked"


async def test_a_credential_of_a_deleted_organization_is_refused(
    service: CredentialsService, gateway: Bus
) -> None:
    organization = await new_organization(gateway)
    device = await new_device(gateway, organization)
    request = DeleteOrganization(organization=PLATFORM, actor=ADMIN, id=organization.id)
    await rpc.call(gateway, DELETE_ORGANIZATION, request)
    await assert_refused(device_client(service, device))
    assert await refused_reason(service, organization.id) == "connect.revoked"


async def test_an_expired_credential_is_refused(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    device = await new_device(gateway, organization, expires_at=soon)
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds())  # the clock is the event
    await assert_refused(device_client(service, device))
    assert await refused_reason(service, organization.id) == "connect.expired"


async def test_a_credential_is_no_nats_user(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    with pytest.raises(nats.errors.Error):
        await nats.connect(
            service.nats.url,
            user=device.username,
            password=device.password,
            allow_reconnect=False,
            max_reconnect_attempts=0,
            error_cb=_silent,
        )
    assert await refused_reason(service, organization.id) == "connect.protocol"


async def _silent(_: Exception) -> None:
    """The refusal is asserted by the test."""


async def test_a_payload_over_the_platforms_limit_holds_up_nobody(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    async with device_client(service, device) as client:
        for size in (PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX * 2, 1):
            await client.publish(f"{organization.id}/devices/d1/data", b"x" * size, qos=1)

    async def stored() -> list[int]:
        subject = subjects.hosted_message(organization.id, "d1", "data")
        return [len(entry.data) for entry in await entries(service.nats, "telemetry", MESSAGES.name, subject)]

    async def last_is_there() -> bool:
        return 1 in await stored()

    await eventually(last_is_there)
    assert await stored() == [PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX * 2, 1]


async def test_no_device_comes_in_before_the_source_is_attached(make_nats: MakeNats, tmp_path: Path) -> None:
    server = make_nats()
    bus = await platform_bus(server, "provision")
    for stream in STREAMS:
        if stream is not MESSAGES:
            await provision_stream(bus, stream, replicas=1, factor=0.01)
    await bus.broker.stop()
    service = credentials_service(server, tmp_path)
    service.running.process.start()
    try:
        await eventually(lambda: _missing(service) == {"hosted broker": "its source is not attached"})
        gateway = await platform_bus(server, "gateway")
        organization = await new_organization(gateway)
        device = await new_device(gateway, organization)
        await assert_refused(device_client(service, device))
        assert await refused_reason(service, organization.id) == "connect.not_ready"

        await asyncio.to_thread(run_module, "runtime.provision", environment.provision(server))

        async with device_client(service, device):
            pass
        await eventually(lambda: _missing(service) == {})
        await gateway.broker.stop()
    finally:
        service.running.process.stop()


def _missing(service: CredentialsService) -> dict[str, str]:
    """What `/readyz` says is missing."""
    try:
        with urllib.request.urlopen(f"{service.running.health_url}/readyz", timeout=2) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return {"listener": "not there yet"}
    missing: dict[str, str] = json.loads(body)["missing"]
    return missing
