"""Who is connected: listed as it is now, told to the read models, ended by request."""

from __future__ import annotations

import asyncio

import aiomqtt
import pytest

from contracts.connections import (
    DISCONNECT_CREDENTIAL,
    LIST_ALL_CONNECTIONS,
    LIST_CONNECTIONS,
    ConnectionCensus,
    DisconnectCredential,
    KnownConnection,
    ListAllConnections,
    ListConnections,
    LiveConnections,
)
from contracts.credentials import CredentialWithPassword
from contracts.organizations import OrganizationIssued
from runtime import rpc
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    activity,
    device_client,
    new_device,
    new_organization,
    platform_bus,
    refused,
)
from tests.support.eventually import eventually


async def listed(
    bus: Bus, organization: OrganizationIssued, device: CredentialWithPassword
) -> LiveConnections:
    request = ListConnections(organization=organization.id, actor="key:k", id=device.id)
    return await rpc.call(bus, LIST_CONNECTIONS, request)


async def disconnected(
    bus: Bus, organization: OrganizationIssued, device: CredentialWithPassword, client_id: str | None = None
) -> int:
    request = DisconnectCredential(
        organization=organization.id, actor="key:k", id=device.id, client_id=client_id
    )
    return (await rpc.call(bus, DISCONNECT_CREDENTIAL, request)).disconnected


async def test_live_connections_are_listed_with_their_counts(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    await new_device(gateway, organization, device_id="d2")
    assert (await listed(gateway, organization, device)).items == ()
    async with (
        device_client(service, device) as one,
        device_client(service, device, client_id=f"{device.client_id}-2", websocket=True),
    ):
        await one.subscribe(f"{organization.id}/commands/d1/go", qos=0)
        for _ in range(3):
            await one.publish(f"{organization.id}/devices/d1/t", b"12345", qos=1)
        found = await listed(gateway, organization, device)
    assert found.complete
    assert found.count == 2
    [second, first] = found.items
    assert (first.client_id, second.client_id) == (device.client_id, f"{device.client_id}-2")
    assert first.address == "127.0.0.1"
    assert first.messages_in == 3
    assert first.bytes_in >= 15
    assert first.subscriptions == 1
    assert first.id != second.id


async def test_another_organization_neither_lists_nor_ends_them(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    stranger = await new_organization(gateway, "Stranger")
    async with device_client(service, device) as client:
        with refused("not_found"):
            await listed(gateway, stranger, device)
        with refused("not_found"):
            await disconnected(gateway, stranger, device)
        await client.publish(f"{organization.id}/devices/d/t", b"still here", qos=1)


async def test_a_request_ends_one_connection_or_all_and_is_activity_with_its_actor(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    other = await new_device(gateway, organization)
    topic = f"{organization.id}/devices/d1/t"
    async with device_client(service, other) as bystander:
        clients = [
            device_client(service, device, client_id=f"{device.client_id}-{each}") for each in ("a", "b", "c")
        ]
        for client in clients:
            await client.__aenter__()
        assert await disconnected(gateway, organization, device, f"{device.client_id}-a") == 1
        await cut_off(clients[0])
        await clients[1].publish(topic, b"1", qos=1)

        assert await disconnected(gateway, organization, device) == 2

        for client in clients[1:]:
            await cut_off(client)
        assert await disconnected(gateway, organization, device) == 0
        await bystander.publish(f"{organization.id}/devices/x/t", b"still here", qos=1)
        async with device_client(service, device):
            pass  # it may come again

    async def both() -> bool:
        return len(await activity(service, organization.id, "credential.disconnected")) == 2

    await eventually(both)
    found = await activity(service, organization.id, "credential.disconnected")
    assert {recorded.actor for recorded, _ in found} == {"key:k"}
    assert [event.details["count"] for _, event in found] == [1, 2]


async def cut_off(client: aiomqtt.Client) -> None:
    """Returns once this client has noticed that its connection is gone."""
    with pytest.raises(aiomqtt.MqttError):
        await asyncio.wait_for(anext(client.messages), 5)
    await asyncio.gather(client.__aexit__(None, None, None), return_exceptions=True)


async def census(bus: Bus) -> ConnectionCensus:
    return await rpc.call(bus, LIST_ALL_CONNECTIONS, ListAllConnections())


async def test_telemetry_hears_of_all_connections_also_after_a_restart(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    telemetry = await platform_bus(service.nats, "telemetry")

    async def known() -> list[KnownConnection]:
        return [one for one in (await census(telemetry)).items if one.credential == device.id]

    async with device_client(service, device):
        [one] = await eventually(known)
        assert (one.organization, one.device_id) == (organization.id, "d1")
        service.running.process.kill()
        service.running.start()
        assert await known() == [one], "what it had seen before the restart is found again"
    await eventually(lambda: gone(known))
    await telemetry.broker.stop()


async def gone(known: object) -> bool:
    return not await known()  # type: ignore[operator]
