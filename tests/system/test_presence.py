"""Presence by the broker's word, through both services: also of what was missed while nobody listened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from contracts.connections import GET_CONNECTION_STATISTICS, GetConnectionStatistics
from contracts.credentials import CredentialWithPassword
from contracts.failures import Refused
from contracts.organizations import OrganizationIssued
from contracts.telemetry import GET_DEVICE, DeviceDetail, GetDevice
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime import rpc
from runtime.bus import Bus
from tests.conftest import RunService
from tests.credentials.parts import (
    CredentialsService,
    credentials_service,
    device_client,
    new_device,
    new_organization,
    platform_bus,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def service(
    own_nats: NatsServer,
    database: DatabaseUrls,
    run_service: RunService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[CredentialsService]:
    """Credentials beside a telemetry that compares often."""
    held = credentials_service(own_nats, tmp_path_factory.mktemp("credentials"))
    held.running.process.env = {**(held.running.process.env or {}), "CONNECTIONS_LOOK_S": "0.6"}
    held.running.start()
    run_service("telemetry", own_nats, database, RECONCILE_S="1")
    yield held
    held.running.process.stop()


@pytest.fixture
async def bus(service: CredentialsService) -> AsyncIterator[Bus]:
    held = await platform_bus(service.nats, "gateway")
    yield held
    await held.broker.stop()


@pytest.fixture
async def organization(bus: Bus) -> OrganizationIssued:
    return await new_organization(bus)


async def seen(bus: Bus, device: CredentialWithPassword, online: bool) -> DeviceDetail:
    """The device, once it is shown so."""

    async def so() -> DeviceDetail | None:
        request = GetDevice(organization=device.topic_prefix, id=device.device_id or "")
        try:
            held = await rpc.call(bus, GET_DEVICE, request)
        except Refused:
            return None  # never heard of yet
        return held if held.online is online else None

    held = await eventually(so, timeout_s=30, every_s=0.2)
    assert held is not None
    return held


async def test_a_device_that_never_says_a_word_is_online_while_it_is_connected(
    service: CredentialsService, bus: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(bus, organization, device_id="mute")
    async with device_client(service, device):
        assert (await seen(bus, device, online=True)).presence_from == "connected"
        async with device_client(service, device, client_id=f"{device.client_id}-2"):
            pass
        assert (await seen(bus, device, online=True)).online
    assert (await seen(bus, device, online=False)).presence_from == "disconnected"
    request = GetConnectionStatistics(organization=organization.id, credential=device.id)
    found = await rpc.call(bus, GET_CONNECTION_STATISTICS, request)
    assert (found.connects, found.last_address) == (2, "127.0.0.1")


async def test_what_came_and_went_while_nobody_listened_is_set_right(
    service: CredentialsService, bus: Bus, organization: OrganizationIssued
) -> None:
    leaves = await new_device(bus, organization, device_id="leaves")
    stays = await new_device(bus, organization, device_id="stays")
    async with device_client(service, stays):
        async with device_client(service, leaves):
            await seen(bus, leaves, online=True)
            await seen(bus, stays, online=True)
            service.running.process.kill()
        service.running.start()
        held = await seen(bus, leaves, online=False)
        assert held.presence_from == "disconnected"
        assert (await seen(bus, stays, online=True)).presence_from == "connected"
