"""Limits of organizations and credentials: refused at a connect, measured, set, and shown with their use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import pytest

from contracts.activity import ActivityRecorded
from contracts.credentials import CredentialWithPassword
from contracts.limits import (
    CHANGE_CREDENTIAL_LIMITS,
    CHANGE_ORGANIZATION_LIMITS,
    GET_LIMITS,
    ChangeCredentialLimits,
    ChangeOrganizationLimits,
    GetLimits,
    Limits,
    LimitsView,
)
from contracts.organizations import PLATFORM, OrganizationIssued
from deploy.local.nats import NatsServer
from runtime import rpc
from runtime.bus import Bus
from services.credentials.census import Census, Key, Session
from services.credentials.connz import Open
from services.credentials.enforcing import mqtt_filters
from services.credentials.meter import SUSTAINED, Meter, Reached
from tests.credentials.parts import (
    ADMIN,
    CredentialsService,
    activity,
    assert_refused,
    credentials_service,
    device_client,
    new_device,
    new_organization,
    refused,
    revoke,
)
from tests.support.eventually import eventually

LOOK_S, HOLD_S = 0.6, 3.0


@pytest.fixture(scope="module")
def service(own_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CredentialsService]:
    """Looks often, and holds back for a short while."""
    held = credentials_service(own_nats, tmp_path_factory.mktemp("credentials"))
    often = {"CONNECTIONS_LOOK_S": str(LOOK_S), "LIMIT_HOLD_S": str(HOLD_S)}
    held.running.process.env = {**(held.running.process.env or {}), **often}
    held.running.start()
    yield held
    held.running.process.stop()


async def limit(bus: Bus, organization: OrganizationIssued, **limits: int) -> LimitsView:
    request = ChangeOrganizationLimits(
        organization=PLATFORM, actor=ADMIN, id=organization.id, limits=Limits(**limits)
    )
    return await rpc.call(bus, CHANGE_ORGANIZATION_LIMITS, request)


async def limit_one(
    bus: Bus, organization: OrganizationIssued, device: CredentialWithPassword, **limits: int
) -> LimitsView:
    request = ChangeCredentialLimits(
        organization=organization.id, actor="key:k", id=device.id, limits=Limits(**limits)
    )
    return await rpc.call(bus, CHANGE_CREDENTIAL_LIMITS, request)


async def shown(
    bus: Bus, organization: OrganizationIssued, credential: str | None = None
) -> dict[str, tuple[int | None, float | None]]:
    request = GetLimits(organization=organization.id, actor="key:k", credential=credential)
    view = await rpc.call(bus, GET_LIMITS, request)
    return {item.limit: (item.allowed, item.current) for item in view.items}


async def happened(
    service: CredentialsService, organization: OrganizationIssued, kind: str
) -> ActivityRecorded:
    """The newest activity of this kind."""

    async def there() -> ActivityRecorded | None:
        found = await activity(service, organization.id, kind)
        return found[-1][1] if found else None

    event = await eventually(there, timeout_s=15)
    assert event is not None
    return event


@pytest.fixture
async def connect(service: CredentialsService) -> AsyncIterator[Any]:
    """Connects a client that leaves at the end."""
    clients: list[aiomqtt.Client] = []

    async def make(device: CredentialWithPassword, suffix: str = "") -> aiomqtt.Client:
        client = device_client(service, device, client_id=device.client_id + suffix)
        await client.__aenter__()
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients), return_exceptions=True)


async def test_connections_of_a_credential_are_limited_and_the_refusal_says_so(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    device = await new_device(gateway, organization)
    await limit_one(gateway, organization, device, connections=2)
    await connect(device, "-a")
    await connect(device, "-b")
    await assert_refused(device_client(service, device, client_id=f"{device.client_id}-c"))

    event = await happened(service, organization, "device.refused")
    assert event.reason == "connect.limit"
    assert event.summary.endswith("connections of the credential: 2, at most 2 are allowed")
    assert (await shown(gateway, organization, device.id))["connections"] == (2, 2)

    other = await new_device(gateway, organization)
    await connect(other)
    await connect(device, "-b")  # the same client comes again: its old connection makes place


async def test_connections_of_an_organization_are_limited_and_its_neighbours_are_not(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    neighbour = await new_organization(gateway, "Neighbour")
    devices = [await new_device(gateway, organization) for _ in range(4)]
    await limit(gateway, organization, connections=3)
    clients = [await connect(device) for device in devices[:3]]
    await assert_refused(device_client(service, devices[3]))
    event = await happened(service, organization, "device.refused")
    assert event.summary.endswith("connections of the organization: 3, at most 3 are allowed")
    await connect(await new_device(gateway, neighbour))

    await clients[0].__aexit__(None, None, None)

    async def comes_in() -> bool:
        try:
            await connect(devices[3])
        except aiomqtt.MqttError:
            return False
        return True

    await eventually(comes_in)


async def test_a_burst_of_connects_does_not_pass_a_limit(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    device = await new_device(gateway, organization)
    await limit_one(gateway, organization, device, connections=5)
    tries = [connect(device, f"-{number}") for number in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, aiomqtt.Client) for result in results) == 5


async def test_a_reconnect_storm_at_the_limit_is_let_in(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    """Every client of a full credential comes again before the server has seen the old connections end."""
    device = await new_device(gateway, organization)
    await limit_one(gateway, organization, device, connections=5)
    for _ in range(2):  # a third time at once would be flapping, which the server itself slows down
        await asyncio.gather(*(connect(device, f"-{number}") for number in range(5)))


async def publish_steadily(client: aiomqtt.Client, topic: str, per_s: int) -> None:
    while True:
        await client.publish(topic, b"x" * 100, qos=0)
        await asyncio.sleep(1 / per_s)


async def test_sustained_excess_of_messages_is_activity_and_holds_the_device_back_for_a_while(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    loud, quiet = await new_device(gateway, organization), await new_device(gateway, organization)
    await limit_one(gateway, organization, loud, messages_per_s=20)
    client, bystander = await connect(loud), await connect(quiet)
    publishing = asyncio.create_task(publish_steadily(client, f"{organization.id}/devices/d/t", per_s=100))
    event = await happened(service, organization, "limit.exceeded")
    assert (event.reason, event.subject) == ("limit.reached", f"credential:{loud.id}")
    assert event.details["limit"] == "messages_per_s"
    assert event.details["allowed"] == 20
    assert 40 < event.details["current"] < 200
    with pytest.raises(aiomqtt.MqttError):
        await asyncio.wait_for(anext(client.messages), 5)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    await assert_refused(device_client(service, loud))
    await bystander.publish(f"{organization.id}/devices/d/t", b"1", qos=1)

    async def again() -> bool:
        try:
            await connect(loud)
        except aiomqtt.MqttError:
            return False
        return True

    await eventually(again, timeout_s=HOLD_S + 5, every_s=0.5)


async def test_too_many_subscriptions_are_counted_as_mqtt_counts(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, connect: Any
) -> None:
    device = await new_device(gateway, organization)
    await limit_one(gateway, organization, device, subscriptions=4)
    client = await connect(device)
    for number in range(4):
        await client.subscribe(f"{organization.id}/commands/{number}/#", qos=1)
    for _ in range(2 * SUSTAINED):
        await asyncio.sleep(LOOK_S)  # the server counts twelve; they are four
    assert not await activity(service, organization.id, "limit.exceeded")

    await client.subscribe(f"{organization.id}/commands/5", qos=1)

    event = await happened(service, organization, "limit.exceeded")
    assert event.details["limit"] == "subscriptions"


async def test_limits_are_the_operators_and_show_defaults(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    before = await shown(gateway, organization)
    assert (before["connections"], before["payload_bytes"]) == ((50_000, 0), (256 * 1024, None))
    await limit(gateway, organization, connections=7)
    assert (await shown(gateway, organization))["connections"] == (7, 0)
    assert (await shown(gateway, organization))["messages_per_s"] == before["messages_per_s"]
    await limit(gateway, organization)
    assert await shown(gateway, organization) == before
    event = await happened(service, organization, "organization.limits-changed")
    assert event.kind == "organization.limits-changed"

    request = ChangeOrganizationLimits(
        organization=organization.id, actor="key:k", id=organization.id, limits=Limits(connections=9)
    )
    with refused("scope.missing"):
        await rpc.call(gateway, CHANGE_ORGANIZATION_LIMITS, request)


async def test_another_organizations_credential_and_a_revoked_one_take_no_limits(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    stranger, device = await new_organization(gateway), await new_device(gateway, organization)
    with refused("not_found"):
        await limit_one(gateway, stranger, device, connections=1)
    with refused("not_found"):
        await shown(gateway, stranger, device.id)
    await revoke(gateway, organization, device)
    with refused("credential.revoked"):
        await limit_one(gateway, organization, device, connections=1)


def session(number: int, credential: str = "c", client_id: str = "") -> Session:
    return Session(
        Key("N", number), "o", credential, client_id or f"id-{number}", "192.0.2.1", 0.0, datetime.now(UTC)
    )


def look(census: Census, now: float, *connections: Open) -> list[Open]:
    unknown = census.see("N", connections)
    census.seen(now)
    return unknown


def test_what_comes_in_and_ends_between_two_looks_is_counted_once() -> None:
    census = Census()
    census.add(session(1))
    look(census, 10, Open(1, in_msgs=5, in_bytes=50))
    assert census.take_traffic()["c"].messages == 5
    census.end(Key("N", 1), 11, 12, 120)
    traffic = census.take_traffic()["c"]
    assert (traffic.messages, traffic.bytes) == (7, 70)
    assert census.by_organization == {}


def test_a_connection_that_vanished_without_a_word_is_forgotten() -> None:
    census = Census()
    census.add(session(1))
    look(census, 3)
    assert census.by_organization == {"o": 1}, "it has just been let in"
    look(census, 5, Open(1))
    look(census, 10)
    assert census.by_organization == {"o": 1}, "one look may have missed it"
    look(census, 15)
    assert census.sessions == {}


def test_a_look_that_began_before_an_end_does_not_bring_it_back() -> None:
    census = Census()
    census.add(session(1))
    census.end(Key("N", 1), 10)
    census.add(session(1))
    assert look(census, 11, Open(1)) == []
    assert census.sessions == {}


def test_the_old_connection_of_a_client_id_and_its_new_one_are_one() -> None:
    census = Census()
    for number in (1, 2):
        census.add(session(number, client_id="same"))
    assert (census.connections("c"), census.by_organization) == (1, {"o": 1})
    census.end(Key("N", 1), 1)
    assert (census.connections("c"), census.by_organization) == (1, {"o": 1})
    census.end(Key("N", 2), 2)
    assert (census.connections("c"), census.by_organization) == (0, {})


def test_a_moments_excess_is_none_and_an_organizations_is_its_heaviest_credentials() -> None:
    census, meter = Census(), Meter()
    owners = {"c": "o", "d": "o"}
    census.add(session(1, "c"))
    census.add(session(2, "d"))
    unlimited, tight = Limits(), Limits(messages_per_s=100)
    found = []
    for number in range(1, SUSTAINED + 1):
        look(census, number, Open(1, in_msgs=40 * number), Open(2, in_msgs=90 * number))
        meter.measure(census, 1.0, owners)
        found = meter.excesses(owners, lambda _: tight, lambda _: unlimited)
        assert bool(found) == (number == SUSTAINED)
    assert [(each.credential, each.reached) for each in found] == [
        ("d", Reached("organization", "messages_per_s", 100, 130.0))
    ]


def test_nats_subjects_are_counted_as_mqtt_filters() -> None:
    assert mqtt_filters(["o.c.1", "o.c.1.>", "$MQTT.sub.abc", "o.c.2", "o.c.*.x"]) == 3
