"""A forgotten device: everything of it goes, nothing of anybody else's; nothing brings it back but itself."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from contracts import subjects
from contracts.activity import ActivityRecorded
from contracts.dead_letter_calls import LIST_DEAD_LETTERS, ListDeadLetters
from contracts.device_commands import (
    LIST_DEVICE_COMMANDS,
    DeviceCommandQueued,
    ListDeviceCommands,
    new_command_id,
)
from contracts.devices import (
    GET_ERASURE,
    LIST_ERASURES,
    DeviceDescribed,
    DeviceForgotten,
    Erasure,
    GetErasure,
    ListErasures,
)
from contracts.envelope import Cause, encode
from contracts.failures import Refused
from contracts.organizations import PLATFORM
from contracts.rebuild import GET_REBUILD, START_REBUILD, GetRebuild, StartRebuild
from contracts.telemetry import (
    GET_DEVICE,
    LIST_DEVICES,
    LIST_MESSAGES,
    LIST_TELEMETRY,
    GetDevice,
    ListDevices,
    ListMessages,
    ListTelemetry,
)
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime.event_log import Append, EventLog
from services.telemetry.database import plain_url
from tests.conftest import RunService
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.service import Service
from tests.telemetry.describing import said, write
from tests.telemetry.world import World, organization, world


@pytest.fixture(scope="module")
def service(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> Service:
    return run_service("telemetry", own_nats, database)


@pytest.fixture
async def here(service: Service, own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    async with world(own_nats, database) as made:
        yield made


def forgotten(device: str) -> DeviceForgotten:
    return DeviceForgotten(
        device_id=device, erasure="erase_" + "".join(random.choices(string.ascii_lowercase, k=16))
    )


async def done(here: World, org: str, id: str, timeout_s: float = 60) -> Erasure:
    async def ended() -> bool:
        page = await here.ask(LIST_ERASURES, ListErasures(organization=org, limit=1000))
        return any((job.id, job.state) == (id, "done") for job in page.items)

    await eventually(ended, timeout_s=timeout_s)
    return await here.ask(GET_ERASURE, GetErasure(organization=org, id=id))


async def forget(here: World, server: NatsServer, org: str, device: str) -> Erasure:
    order = forgotten(device)
    await said(here, server, org, order)
    return await done(here, org, order.erasure)


async def commanded(here: World, server: NatsServer, org: str, device: str) -> None:
    order = DeviceCommandQueued(
        device_id=device,
        integration_id="hosted",
        topic=f"{org}/commands/{device}/x",
        payload="/wA=",
        qos=1,
        retain=False,
        response_topic="x",
        correlation_id="x",
        answer_expected=False,
        expires_in_s=60,
    )
    subject = subjects.device_command(org, new_command_id(None))
    append, now = Append(subject, order, 0), datetime.now(UTC)
    [written] = await EventLog(here.gateway, "COMMANDS").append([append], cause=Cause("k", "g"), now=now)
    await here.stored(written.sequence, "commands")


async def connected(here: World, server: NatsServer, org: str, device: str, kind: str, at: datetime) -> None:
    event = ActivityRecorded(
        kind=f"device.{kind}", subject="credential:cred_1", device_id=device, details={"connection_id": "7"}
    )
    headers, data = encode(event, id=f"a{random.random()}", time=at, cause=Cause("c", "c"))
    async with platform_client(server, "credentials") as client:
        answer = await client.request(subjects.activity(org, event.kind), data, headers=headers, timeout=5)
    assert b'"seq"' in answer.data


_ROWS = """
SELECT (SELECT count(*) FROM samples WHERE device = d.id) + (SELECT count(*) FROM messages WHERE device = d.id)
    + (SELECT count(*) FROM device_metrics WHERE device = d.id) + (SELECT count(*) FROM presence WHERE device = d.id)
    + (SELECT count(*) FROM device_sources WHERE device = d.id) + (SELECT count(*) FROM connections WHERE device = d.id)
    + (SELECT count(*) FROM message_minutes c WHERE c.organization = o.id AND c.scope = 2 AND c.name = d.name)
FROM devices d JOIN organizations o ON o.id = d.organization WHERE o.name = $1 AND d.name = $2
"""


async def rows(here: World, org: str, device: str) -> int:
    return int(await here.database.fetchval(_ROWS, org, device))


async def seen(here: World, org: str) -> dict[str, list[str]]:
    """Devices in everything that can be asked for."""
    readings = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    messages = (await here.ask(LIST_MESSAGES, ListMessages(organization=org))).items
    letters = (await here.ask(LIST_DEAD_LETTERS, ListDeadLetters(organization=org))).items
    devices = (await here.ask(LIST_DEVICES, ListDevices(organization=org))).items
    return {
        "readings": sorted(row.device_id for row in readings),
        "messages": sorted(row.device_id or "" for row in messages),
        "letters": sorted(row.topic.split("/")[2] for row in letters),
        "devices": sorted(row.id for row in devices),
    }


async def test_everything_of_it_goes_and_nothing_of_others(here: World, own_nats: NatsServer) -> None:
    org, other = organization(), organization()
    for each in (org, other):
        for device in ("d1", "d2"):
            await here.hosted(each, device, {"t": 1})
            await here.hosted(each, device, {"status": "online"}, "status")
            await here.hosted(each, device, b"{nope")
            await commanded(here, own_nats, each, device)
            for kind in ("connected", "disconnected"):
                await connected(here, own_nats, each, device, kind, datetime.now(UTC))
    await here.stored(await here.hosted(org, "d1", {"t": 2}))
    await said(here, own_nats, org, DeviceDescribed(device_id="d1", name="x", tags=("a",)))

    async def letters() -> bool:
        return len((await seen(here, org))["letters"]) == 2

    await eventually(letters)
    job = await forget(here, own_nats, org, "d1")
    assert (job.device_id, job.readings, job.messages, job.dead_letters, job.commands) == ("d1", 2, 4, 1, 1)
    assert job.began_at is not None
    left = {"readings": ["d2"], "messages": ["d2"] * 3, "letters": ["d2"], "devices": ["d2"]}
    assert await seen(here, org) == left
    assert await rows(here, org, "d1") == 0
    with pytest.raises(Refused, match="no such device"):
        await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    with pytest.raises(Refused, match="no such device"):
        await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org, device_id=("d1",)))
    commands = ListDeviceCommands(organization=org, device_id="d1")
    assert (await here.ask(LIST_DEVICE_COMMANDS, commands)).items == []
    assert (await here.ask(LIST_DEVICES, ListDevices(organization=org, tag=("a",)))).items == []
    assert (await seen(here, other))["messages"] == ["d1"] * 3 + ["d2"] * 3
    assert len((await seen(here, other))["letters"]) == 2

    with pytest.raises(Refused):
        await here.ask(GET_ERASURE, GetErasure(organization=other, id=job.id))
    assert (await here.ask(LIST_ERASURES, ListErasures(organization=other))).items == []
    assert (await here.ask(LIST_ERASURES, ListErasures(organization=org, device_id="d1"))).items == [job]


async def test_it_may_come_back_and_is_new_then(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await here.stored(await here.hosted(org, "d1", {"t": 1, "old": 1}))
    before = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    order = forgotten("d1")
    await write(own_nats, org, order)
    await here.stored(await here.hosted(org, "d1", {"t": 2}))  # while it is erased
    await done(here, org, order.erasure)
    await here.stored(await here.hosted(org, "d1", {"t": 3}))
    now = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    assert (now.messages, {name: held.value for name, held in now.latest.items()}) == (2, {"t": 3})
    assert now.first_seen is not None
    assert before.last_seen is not None
    assert now.first_seen > before.last_seen
    assert (await seen(here, org))["readings"] == ["d1", "d1"]
    page = await here.ask(LIST_DEVICES, ListDevices(organization=org, integration_id="hosted"))
    assert [row.id for row in page.items] == ["d1"]


async def test_its_readings_in_messages_of_others_go_and_the_messages_stay(
    here: World, own_nats: NatsServer
) -> None:
    org = organization()
    payload = [{"device_id": "hub", "t": 1}, {"device_id": "leaf", "t": 2}]
    await here.stored(await here.bridged(org, "http", "x/telemetry", payload))
    assert (await seen(here, org))["readings"] == ["hub", "leaf"]
    await forget(here, own_nats, org, "leaf")
    assert await seen(here, org) == {
        "readings": ["hub"],
        "messages": ["hub"],
        "letters": [],
        "devices": ["hub"],
    }
    assert await rows(here, org, "leaf") == 0


async def test_what_was_sent_before_and_is_read_later_is_not_stored(
    here: World, service: Service, own_nats: NatsServer
) -> None:
    org = organization()
    await here.stored(await here.hosted(org, "d1", {"t": 1}))
    service.process.stop()
    await here.hosted(org, "d1", {"t": 2})
    await here.hosted(org, "d1", b"{nope")
    await commanded_unread(here, org, "d1")
    order = forgotten("d1")
    await write(own_nats, org, order)
    service.start()
    job = await done(here, org, order.erasure)
    assert (job.readings, job.messages, job.commands) == (1, 1, 0), "the rest never came to be"
    assert await seen(here, org) == {"readings": [], "messages": [], "letters": [], "devices": []}


async def commanded_unread(here: World, org: str, device: str) -> None:
    subject = subjects.device_command(org, new_command_id(None))
    order = DeviceCommandQueued(
        device_id=device,
        integration_id="hosted",
        topic="x",
        payload="",
        qos=1,
        retain=False,
        response_topic="x",
        correlation_id="x",
        answer_expected=False,
        expires_in_s=60,
    )
    append, now = Append(subject, order, 0), datetime.now(UTC)
    await EventLog(here.gateway, "COMMANDS").append([append], cause=Cause("k", "g"), now=now)


async def test_a_kill_in_the_midst_and_it_goes_on(
    here: World, service: Service, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    await here.stored(await here.fill(org, 600, devices=2))
    holder = await asyncpg.connect(plain_url(database.projector))
    order = forgotten("d1")
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE messages IN SHARE MODE")  # deletes wait
            await write(own_nats, org, order)

            async def midway() -> bool:
                row = await here.database.fetchrow("SELECT * FROM erasures WHERE id = $1", order.erasure)
                return row is not None and (row["step"], row["readings"]) == ("messages", 300)

            await eventually(midway, timeout_s=60)
            service.process.kill()
    finally:
        await holder.close()
    service.start()
    job = await done(here, org, order.erasure)
    assert (job.readings, job.messages) == (300, 300)
    assert await rows(here, org, "d1") == 0
    assert (await seen(here, org))["devices"] == ["d0"]


async def own(here: World, org: str) -> list[list[tuple[object, ...]]]:
    """What the projections made of the organization's readings, messages and devices."""
    return [[row for row in table if row[0] == org] for table in (await here.dump())[:3]]


async def test_a_rebuild_does_not_bring_it_back(here: World, own_nats: NatsServer) -> None:
    org = organization()
    for device in ("d1", "d2"):
        await here.hosted(org, device, {"t": 1})
        await here.hosted(org, device, {"status": "online"}, "status")
        await here.hosted(org, device, b"{nope")
        await commanded(here, own_nats, org, device)
        await connected(here, own_nats, org, device, "connected", datetime.now(UTC))
        await connected(here, own_nats, org, device, "disconnected", datetime.now(UTC))
    await here.stored(
        await here.bridged(org, "http", "x/telemetry", [{"device_id": "d2"}, {"device_id": "d1", "t": 2}])
    )
    await forget(here, own_nats, org, "d1")
    await here.stored(await here.hosted(org, "d3", {"t": 1}))
    before, shown = await own(here, org), await seen(here, org)
    assert shown["devices"] == ["d2", "d3"]
    operator = {"organization": PLATFORM, "actor": "admin"}
    await here.ask(START_REBUILD, StartRebuild(**operator))

    async def ended() -> bool:
        found = (await here.ask(GET_REBUILD, GetRebuild(**operator))).rebuild
        assert found is not None
        return found.state == "done"

    await eventually(ended, timeout_s=60)
    assert await own(here, org) == before
    assert await seen(here, org) == shown
    assert await rows(here, org, "d1") == 0
    commands = ListDeviceCommands(organization=org, device_id="d1")
    assert (await here.ask(LIST_DEVICE_COMMANDS, commands)).items == []
    await here.stored(await here.hosted(org, "d1", {"t": 9}))
    assert (await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))).messages == 1


async def test_many_at_once_are_all_erased(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await here.stored(await here.fill(org, 200, devices=10))
    orders = [forgotten(f"d{number}") for number in range(9)]
    await said(here, own_nats, org, *orders)
    await asyncio.gather(*(done(here, org, order.erasure) for order in orders))
    assert (await seen(here, org))["devices"] == ["d9"]
    page = await here.ask(LIST_ERASURES, ListErasures(organization=org, limit=4))
    rest = await here.ask(LIST_ERASURES, ListErasures(organization=org, limit=100, cursor=page.next_cursor))
    assert {job.device_id for job in (*page.items, *rest.items)} == {order.device_id for order in orders}
