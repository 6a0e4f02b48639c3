"""Online or not, since when and why: what the device says and what the broker sees, in any order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from contracts.activity import ActivityRecorded
from contracts.connections import (
    GET_CONNECTION_STATISTICS,
    ConnectionStatistics,
    GetConnectionStatistics,
    KnownConnection,
    RefusalCount,
)
from contracts.envelope import Cause, encode
from contracts.subjects import activity
from contracts.telemetry import GET_DEVICE, LIST_DEVICES, DeviceDetail, GetDevice, ListDevices
from services.telemetry.database import plain_url
from services.telemetry.presence import LATE, Why, Word, weigh
from services.telemetry.reconcile import set_right
from tests.telemetry.world import World, organization

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
CREDENTIAL = "cred_0123456789abcdef"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def word(why: Why, seconds: float, *, online: bool | None = None) -> Word:
    return Word(why in ("connected", "status") if online is None else online, at(seconds), why, at(seconds))


def after(*said: Word) -> Word:
    held = None
    for each in said:
        held = weigh(held, each)
    assert held is not None
    return held


def test_the_brokers_end_wins_over_an_online_that_was_said_before_it() -> None:
    assert after(word("disconnected", 10), word("status", 9)) == word("disconnected", 10)
    assert after(word("disconnected", 10), word("status", 10)) == word("disconnected", 10)


def test_an_online_that_is_stored_a_moment_late_does_not_win_over_the_brokers_end() -> None:
    late = LATE.total_seconds() / 2
    assert not after(word("disconnected", 10), word("status", 10 + late)).online
    assert after(word("disconnected", 10), word("status", 12)).online
    assert after(word("disconnected", 10), word("connected", 10 + late)).online


def test_since_is_when_it_began() -> None:
    assert after(word("connected", 1), word("status", 5), word("connected", 9)).since == at(1)


def test_the_broker_confirms_a_last_will() -> None:
    held = after(word("connected", 1), word("lwt", 5), word("disconnected", 6))
    assert (held.online, held.since, held.why) == (False, at(5), "disconnected")


def test_a_device_may_say_itself_that_it_is_offline() -> None:
    assert not after(word("connected", 1), word("status", 5, online=False)).online


def test_what_is_said_in_any_order_ends_the_same() -> None:
    said = [word("connected", 1), word("status", 3), word("lwt", 8), word("disconnected", 9)]
    ends = {
        (held.online, held.why, held.at) for held in itertools.starmap(after, itertools.permutations(said))
    }
    assert ends == {(False, "disconnected", at(9))}


async def happened(here: World, org: str, kind: str, when: datetime, **fields: Any) -> None:
    """Activity, in the read models when this returns."""
    event = ActivityRecorded(kind=kind, subject=f"credential:{CREDENTIAL}", **fields)
    headers, data = encode(
        event, id=str(uuid4()), time=when, cause=Cause(f"device:{CREDENTIAL}", "credentials")
    )
    await here.stored(await here.write(activity(org, kind), headers, data), "activity")


async def connected(here: World, org: str, connection: str, when: datetime, **details: Any) -> None:
    held = {"connection_id": connection, "client_id": "c", "address": "192.0.2.1", **details}
    await happened(here, org, "device.connected", when, device_id="d1", details=held)


async def disconnected(here: World, org: str, connection: str, when: datetime, **details: Any) -> None:
    held = {"connection_id": connection, "client_id": "c", "address": "192.0.2.1", **details}
    await happened(
        here, org, "device.disconnected", when, device_id="d1", summary="Client Closed", details=held
    )


async def device(here: World, org: str) -> DeviceDetail:
    return await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))


async def test_a_device_is_online_while_its_credential_is_connected(here: World) -> None:
    org = organization()
    await connected(here, org, "N-1", at(0))
    held = await device(here, org)
    assert (held.online, held.online_since, held.presence_from) == (True, at(0), "connected")
    await disconnected(here, org, "N-1", at(5))
    held = await device(here, org)
    assert (held.online, held.offline_since, held.presence_from) == (False, at(5), "disconnected")
    [row] = (await here.ask(LIST_DEVICES, ListDevices(organization=org))).items
    assert (row.online, row.presence_from) == (False, "disconnected")


async def test_of_several_connections_the_last_one_counts(here: World) -> None:
    org = organization()
    for number in (1, 2, 3):
        await connected(here, org, f"N-{number}", at(number))
    for number in (2, 1):
        await disconnected(here, org, f"N-{number}", at(10 - number))
        assert (await device(here, org)).online
    await disconnected(here, org, "N-3", at(11))
    assert (await device(here, org)).online is False


async def test_a_reconnect_whose_old_connection_ends_later_stays_online(here: World) -> None:
    org = organization()
    await connected(here, org, "N-1", at(1))
    await connected(here, org, "N-2", at(5))
    await disconnected(here, org, "N-1", at(5.1))
    assert (await device(here, org)).online


async def test_an_end_that_comes_before_its_beginning_is_an_end(here: World) -> None:
    org = organization()
    await disconnected(here, org, "N-1", at(5))
    await connected(here, org, "N-1", at(1))
    assert (await device(here, org)).online is False


async def test_a_last_will_and_a_stale_online_do_not_outlive_the_connection(here: World) -> None:
    org, now = organization(), datetime.now(UTC)
    await connected(here, org, "N-1", now - timedelta(minutes=1))
    await here.stored(await here.hosted(org, "d1", {"status": "online"}, "status"))
    await disconnected(here, org, "N-1", datetime.now(UTC) + LATE)
    await here.stored(await here.hosted(org, "d1", {"status": "online"}, "status"))
    held = await device(here, org)
    assert (held.online, held.presence_from) == (False, "disconnected")


async def test_a_broker_that_numbers_no_connections_goes_by_client_id(here: World) -> None:
    org = organization()
    await connected(here, org, "", at(1))
    await disconnected(here, org, "", at(2))
    await connected(here, org, "", at(3))
    assert (await device(here, org)).online
    await disconnected(here, org, "", at(4))
    assert (await device(here, org)).online is False


async def test_statistics_of_a_credential_are_added_up(here: World) -> None:
    org = organization()
    for number in (1, 2):
        await connected(here, org, f"N-{number}", at(number), address=f"192.0.2.{number}")
        counts = {"messages_in": 3, "bytes_in": 100, "messages_out": 1, "bytes_out": 10}
        await disconnected(here, org, f"N-{number}", at(number + 10), **counts)
    for details in ({"address": "192.0.2.9"}, {"left_out": 40}):
        await happened(here, org, "device.refused", at(50), reason="connect.unknown", details=details)
    found = await statistics(here, org)
    assert found == ConnectionStatistics(
        connects=2,
        messages_in=6,
        bytes_in=200,
        messages_out=2,
        bytes_out=20,
        last_connected_at=at(2),
        last_disconnected_at=at(12),
        last_disconnect_reason="Client Closed",
        last_seen_at=at(12),
        last_address="192.0.2.2",
        refusals=(RefusalCount(reason="connect.unknown", count=41, last_at=at(50)),),
    )
    assert await statistics(here, organization()) == ConnectionStatistics(), "another organization's"


async def statistics(here: World, org: str) -> ConnectionStatistics:
    return await here.ask(
        GET_CONNECTION_STATISTICS, GetConnectionStatistics(organization=org, credential=CREDENTIAL)
    )


@pytest.fixture
async def pool(here: World) -> Any:
    async with asyncpg.create_pool(plain_url(here.urls.projector), min_size=0, max_size=2) as made:
        yield made


async def test_a_device_whose_end_nobody_told_of_goes_offline(here: World, pool: asyncpg.Pool) -> None:
    org, now = organization(), datetime.now(UTC)
    await connected(here, org, "N-1", now - timedelta(minutes=2))
    await set_right(pool, now, [known(org, "N-2", now - timedelta(minutes=1))])
    assert (await device(here, org)).online, "another connection, whose beginning nobody told of"

    await set_right(pool, now, [])

    held = await device(here, org)
    assert (held.online, held.presence_from, held.offline_since) == (False, "disconnected", now)


async def test_what_is_still_on_its_way_through_the_log_is_left_alone(
    here: World, pool: asyncpg.Pool
) -> None:
    org, now = organization(), datetime.now(UTC)
    await connected(here, org, "N-1", now - timedelta(seconds=1))
    await set_right(pool, now, [])
    assert (await device(here, org)).online
    await disconnected(here, org, "N-1", now)
    await set_right(pool, now, [known(org, "N-1", now - timedelta(seconds=60))])
    assert (await device(here, org)).online is False


async def test_what_is_right_stays_as_it_is(here: World, pool: asyncpg.Pool) -> None:
    org, now = organization(), datetime.now(UTC)
    await set_right(pool, now, [])
    await connected(here, org, "N-1", now - timedelta(minutes=2))
    assert await set_right(pool, now, [known(org, "N-1", now - timedelta(minutes=2))]) == 0


def known(org: str, id: str, since: datetime) -> KnownConnection:
    return KnownConnection(
        id=id,
        organization=org,
        credential=CREDENTIAL,
        device_id="d1",
        client_id="c",
        address="192.0.2.1",
        connected_at=since,
    )
