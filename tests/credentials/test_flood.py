"""A flood of bad connects: good devices come in at once, and it is told of as a number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from contracts.organizations import PLATFORM, OrganizationIssued
from contracts.secrets_format import mint
from deploy.local.ports import LOOPBACK
from runtime.bus import Bus
from services.credentials.ids import new_id
from services.credentials.throttle import ADDRESS, ORGANIZATION, Allowance, Buckets, Throttle
from tests.credentials.parts import CredentialsService, activity, device_client, new_device
from tests.support import mqtt_wire

PER_S, FOR_S = 500, 5.0
GOOD_WITHIN_S = 1.0


def packet(username: str, password: str) -> bytes:
    """An MQTT 3.1.1 CONNECT."""
    fields = b"".join(mqtt_wire.text(field) for field in ("bad", username, password))
    return mqtt_wire.packet(0x10, b"\0\4MQTT\4\xc2\0\x3c" + fields)


async def bad_connect(port: int, sent: bytes) -> bytes:
    """What the broker answers."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(4), 10)
    finally:
        writer.close()


async def flood(port: int, bad: Callable[[int], bytes]) -> list[bytes]:
    began = time.monotonic()
    under_way = []
    for number in range(int(PER_S * FOR_S)):
        await asyncio.sleep(max(0.0, began + number / PER_S - time.monotonic()))
        under_way.append(asyncio.create_task(bad_connect(port, bad(number))))
    return await asyncio.gather(*under_way)


@pytest.mark.faults
async def test_good_devices_come_in_within_a_second_while_bad_ones_flood_from_the_same_address(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    devices = [await new_device(gateway, organization) for _ in range(10)]

    def bad(number: int) -> bytes:
        """Each kind in turn; the second is as if another replica had issued it."""
        kinds = (
            ("admin", "admin"),
            (new_id("cred"), mint("dev")),
            (devices[0].username, mint("dev")),
            (devices[1].username, "guess"),
        )
        return packet(*kinds[number % len(kinds)])

    flooding = asyncio.create_task(flood(service.nats.ports.mqtt, bad))
    took: list[float] = []
    number = 0
    while not flooding.done():
        began = time.monotonic()
        async with device_client(service, devices[number % len(devices)]) as client:
            took.append(time.monotonic() - began)
            await client.publish(f"{organization.id}/devices/d/t", b"1", qos=1)
        number += 1
        await asyncio.sleep(0.1)
    answers = await flooding
    assert len(took) >= 10
    assert max(took) < GOOD_WITHIN_S, sorted(took)[-5:]
    assert set(answers) <= {b"\x20\x02\0\x05", b""}, "nobody was let in"

    service.running.process.stop()  # says what it counted
    told = [event for _, event in await activity(service, organization.id, "device.refused")]
    told += [event for _, event in await activity(service, PLATFORM, "device.refused")]
    service.running.start()
    assert len(told) < 100
    assert {event.reason for event in told} >= {"connect.unknown", "connect.flood"}
    assert sum(event.details.get("left_out", 1) for event in told) == len(answers)


async def test_a_credential_made_after_a_flood_comes_in_at_once(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    bad = packet("admin", "admin")
    await asyncio.gather(*(bad_connect(service.nats.ports.mqtt, bad) for _ in range(2 * int(ADDRESS.burst))))
    async with device_client(service, await new_device(gateway, organization)):
        pass


def test_a_bucket_fills_again() -> None:
    buckets = Buckets(Allowance(burst=3, per_s=1))
    assert [buckets.take("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert not buckets.take("a", 0.5)
    assert buckets.take("a", 1.5)
    assert buckets.take("b", 0), "others have their own"


def test_a_flood_from_everywhere_stays_bounded_and_shares_what_is_left() -> None:
    buckets = Buckets(Allowance(burst=2, per_s=0.001), keys_max=100)
    taken = sum(buckets.take(f"2001:db8::{number:x}", 0) for number in range(10_000))
    assert len(buckets) == 100
    assert taken == 100 + 2


def test_addresses_that_have_been_quiet_make_room() -> None:
    buckets = Buckets(Allowance(burst=1, per_s=1), keys_max=10)
    for number in range(10):
        buckets.take(str(number), 0)
    assert all(buckets.take(f"late {number}", 10) for number in range(10))
    assert len(buckets) == 10


def test_a_flood_on_one_organization_from_many_addresses_is_one() -> None:
    throttle = Throttle()
    flooded = [throttle.flooded(f"192.0.2.{n % 250}", "org_a", 0) for n in range(250)]
    assert flooded.count(False) == int(ORGANIZATION.burst)
    assert not throttle.flooded("198.51.100.1", "org_b", 0)
    assert not throttle.spent("198.51.100.1", 0)
