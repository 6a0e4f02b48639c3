"""What is revoked ends while it is connected; and comings and goings are activity with counts."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import aiomqtt
import pytest

from contracts import subjects
from contracts.activity import ActivityRecorded
from contracts.credentials import CredentialRevoked, CredentialWithPassword
from contracts.envelope import Cause
from contracts.organizations import DELETE_ORGANIZATION, PLATFORM, DeleteOrganization, OrganizationIssued
from runtime import rpc
from runtime.bus import Bus
from runtime.event_log import Append, EventLog
from services.credentials.refusals import FIRST, Refusals
from tests.credentials.parts import (
    ADMIN,
    CredentialsService,
    activity,
    assert_refused,
    device_client,
    new_device,
    new_organization,
    platform_bus,
    revoke,
)
from tests.support.clients import platform_mqtt_client
from tests.support.eventually import eventually


async def publish_until_cut_off(client: aiomqtt.Client, topic: str) -> float:
    """The time of the last publish that was acknowledged."""
    last = time.monotonic()

    async def publish() -> None:
        nonlocal last
        while True:
            await client.publish(topic, b"x", qos=1)
            last = time.monotonic()
            await asyncio.sleep(0.005)

    publishing = asyncio.create_task(publish())
    # a publish under way when the connection goes would wait for its acknowledgement until its own timeout
    await asyncio.wait([publishing, client._disconnected], return_when=asyncio.FIRST_COMPLETED)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    return last


@pytest.mark.parametrize("websocket", [False, True], ids=["tcp", "websocket"])
async def test_a_revoked_device_is_cut_off_within_a_second_and_no_other(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, websocket: bool
) -> None:
    device, other = [await new_device(gateway, organization, device_id=f"d{n}") for n in (1, 2)]
    client = device_client(service, device, websocket=websocket)
    await client.__aenter__()
    async with device_client(service, other) as undisturbed:
        publishing = asyncio.create_task(
            publish_until_cut_off(client, f"{organization.id}/devices/d1/telemetry")
        )
        await asyncio.sleep(0.1)  # let it get going
        began = time.monotonic()
        await revoke(gateway, organization, device)
        assert await asyncio.wait_for(publishing, 5) - began < 1
        await assert_refused(device_client(service, device))
        await undisturbed.publish(f"{organization.id}/devices/d2/telemetry", b"x", qos=1)
    await _leave([client])


async def test_all_connections_of_a_credential_are_cut_off(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    clients = [
        device_client(service, device, client_id=f"{device.client_id}-{number}") for number in range(20)
    ]
    for client in clients:
        await client.__aenter__()
    topic = f"{organization.id}/devices/d/x"
    publishing = [asyncio.create_task(publish_until_cut_off(client, topic)) for client in clients]
    began = time.monotonic()
    await revoke(gateway, organization, device)
    assert max(await asyncio.wait_for(asyncio.gather(*publishing), 10)) - began < 1
    await _leave(clients)


async def test_deleting_an_organization_cuts_off_its_devices_and_no_others(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    doomed = await new_organization(gateway, "Doomed")
    clients = [device_client(service, await new_device(gateway, doomed)) for _ in range(3)]
    for client in clients:
        await client.__aenter__()
    publishing = [
        asyncio.create_task(publish_until_cut_off(client, f"{doomed.id}/devices/d/x")) for client in clients
    ]
    async with (
        device_client(service, await new_device(gateway, organization)) as other,
        platform_mqtt_client(service.nats) as platform,
    ):
        request = DeleteOrganization(organization=PLATFORM, actor=ADMIN, id=doomed.id)
        await rpc.call(gateway, DELETE_ORGANIZATION, request)
        began = time.monotonic()
        assert max(await asyncio.wait_for(asyncio.gather(*publishing), 10)) - began < 1.5
        await other.publish(f"{organization.id}/devices/d/x", b"x", qos=1)
        await platform.publish(f"{organization.id}/commands/d/x", b"x", qos=1)
    await _leave(clients)


async def test_a_connection_ends_when_its_credential_expires(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, expires_at=datetime.now(UTC) + timedelta(seconds=3))
    client = device_client(service, device)
    await client.__aenter__()
    await asyncio.wait_for(publish_until_cut_off(client, f"{organization.id}/devices/d/x"), 6)
    await assert_refused(device_client(service, device))
    await _leave([client])


async def test_what_a_crash_kept_from_being_ended_is_ended_at_the_next_start(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    client = device_client(service, device)
    await client.__aenter__()
    service.running.process.kill()
    # the revocation as another replica would have appended it, while nobody is there to act on it
    await _append_revocation(service, organization, device)
    publishing = asyncio.create_task(publish_until_cut_off(client, f"{organization.id}/devices/d/x"))

    service.running.start()

    await asyncio.wait_for(publishing, 5)
    await _leave([client])


async def _append_revocation(
    service: CredentialsService, organization: OrganizationIssued, device: CredentialWithPassword
) -> None:
    bus = await platform_bus(service.nats, "credentials")
    log = EventLog(bus.client, "REGISTRY")
    subject = subjects.registry(organization.id, "credential", device.id)
    [issued] = await log.read(subject)
    append = Append(subject, CredentialRevoked(), issued.sequence)
    await log.append([append], cause=Cause("test", "test"), now=datetime.now(UTC))
    await bus.broker.stop()


async def _leave(clients: list[aiomqtt.Client]) -> None:
    """Their connections are gone, which is an error to them."""
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients), return_exceptions=True)


async def test_coming_and_going_is_activity_with_counts(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    async with device_client(service, device, websocket=True) as client:
        for _ in range(3):
            await client.publish(f"{organization.id}/devices/d1/telemetry", b"12345", qos=1)

    async def gone() -> ActivityRecorded | None:
        found = await activity(service, organization.id, "device.disconnected")
        return found[0][1] if found else None

    event = await eventually(gone)
    assert event is not None
    assert event.subject == f"credential:{device.id}"
    assert event.device_id == "d1"
    assert event.summary == "Client Closed"
    assert event.duration_ms is not None
    assert event.duration_ms > 0
    assert event.details["client_id"] == device.client_id
    assert event.details["address"] == "127.0.0.1"
    assert (event.details["messages_in"], event.details["messages_out"]) == (3, 0)
    assert event.details["bytes_in"] >= 15
    [(recorded, connected)] = await activity(service, organization.id, "device.connected")
    assert connected.details["client_id"] == device.client_id
    assert recorded.actor == f"device:{device.id}"


async def test_the_registrys_events_are_activity_once_with_who_caused_them(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, name="pump")
    await revoke(gateway, organization, device)
    service.running.process.kill()
    service.running.start()  # announces again what is recent: told by its id

    expected = {
        "organization.created": ("Acme", "admin"),
        "api-key.issued": ("first key", "admin"),
        "credential.issued": ("pump", "key:k"),
        "credential.revoked": ("lost", "key:k"),
    }
    for kind, (summary, actor) in expected.items():

        async def there(kind: str = kind) -> bool:
            return bool(await activity(service, organization.id, kind))

        await eventually(there)
        [(recorded, event)] = await activity(service, organization.id, kind)
        assert (event.kind, event.summary, recorded.actor) == (kind, summary, actor)


class Collected:
    """Stands where the activity log stands: what was noted, in order."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, ActivityRecorded]] = []

    def note(self, organization: str, event: ActivityRecorded, actor: str) -> None:
        self.noted.append((organization, event))


async def test_a_flood_of_refusals_is_counted_not_recorded() -> None:
    collected = Collected()
    refusals = Refusals(collected)  # type: ignore[arg-type]
    for number in range(1000):
        for address in ("192.0.2.1", "192.0.2.2"):
            refusals.note(
                "connect.unknown",
                organization=None,
                credential=None,
                username=f"u{number}",
                client_id="c",
                address=address,
            )
    assert len(collected.noted) == 2 * FIRST

    refusals.flush()

    left_out = [event.details for _, event in collected.noted[2 * FIRST :]]
    assert left_out == [
        {"left_out": 1000 - FIRST, "from": "192.0.2.1"},
        {"left_out": 1000 - FIRST, "from": "192.0.2.2"},
    ]


async def test_a_flood_from_everywhere_stays_bounded() -> None:
    collected = Collected()
    refusals = Refusals(collected)  # type: ignore[arg-type]
    for number in range(20_000):
        refusals.note(
            "connect.unknown",
            organization=None,
            credential=None,
            username="u",
            client_id="c",
            address=f"2001:db8::{number:x}",
        )
    assert len(collected.noted) < 5000
    refusals.flush()
    counted = sum(event.details.get("left_out", 1) for _, event in collected.noted)
    assert counted == 20_000


async def test_a_credentials_refusals_go_to_its_tenant() -> None:
    collected = Collected()
    refusals = Refusals(collected)  # type: ignore[arg-type]
    for _ in range(FIRST + 1):
        refusals.note(
            "connect.client_id",
            organization="org_a",
            credential="cred_a",
            username="cred_a",
            client_id="x",
            address="192.0.2.1",
        )
    refusals.flush()
    assert {organization for organization, _ in collected.noted} == {"org_a"}
    assert {event.subject for _, event in collected.noted} == {"credential:cred_a"}
    assert collected.noted[-1][1].details == {"left_out": 1, "from": "cred_a"}
