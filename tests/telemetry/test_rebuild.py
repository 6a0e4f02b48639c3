"""All read models anew from the logs beside the ones that serve, then exchanged at once (FAULTS 21)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from contracts.failures import Refused
from contracts.organizations import PLATFORM
from contracts.rebuild import (
    CANCEL_REBUILD,
    GET_LOGS,
    GET_REBUILD,
    START_REBUILD,
    CancelRebuild,
    GetLogs,
    GetRebuild,
    Rebuild,
    StartRebuild,
)
from contracts.telemetry import (
    GET_DEVICE,
    LIST_DEVICES,
    LIST_TELEMETRY,
    GetDevice,
    ListDevices,
    ListTelemetry,
)
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls, Postgres
from services.telemetry.shadow import KEPT, MODELS
from tests.conftest import RunService
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.service import Service
from tests.telemetry.world import World, organization, world

OPERATOR = {"organization": PLATFORM, "actor": "admin"}


@pytest.fixture
async def there(own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    async with world(own_nats, database) as made:
        yield made


@pytest.fixture(scope="module")
def service(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> Service:
    return run_service("telemetry", own_nats, database)


async def start(there: World, command: str | None = None) -> Rebuild:
    return await there.ask(START_REBUILD, StartRebuild(**OPERATOR, command_id=command))


async def state(there: World) -> Rebuild:
    found = (await there.ask(GET_REBUILD, GetRebuild(**OPERATOR))).rebuild
    assert found is not None
    return found


async def finished(there: World, timeout_s: float = 60) -> Rebuild:
    async def ended() -> bool:
        return (await state(there)).finished_at is not None

    await eventually(ended, timeout_s=timeout_s)
    return await state(there)


@asynccontextmanager
async def reading(there: World, org: str) -> AsyncIterator[list[int]]:
    """Asks without a pause; every failure is the test's. Counts the answers."""
    answers = [0]
    leave = asyncio.Event()

    async def read() -> None:
        while not leave.is_set():
            page = await there.ask(LIST_TELEMETRY, ListTelemetry(organization=org))
            assert len(page.items) == 100
            assert (await there.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))).latest["n"].value
            assert (await there.ask(LIST_DEVICES, ListDevices(organization=org))).items
            answers[0] += 1

    task = asyncio.create_task(read())
    try:
        yield answers
    finally:
        leave.set()
        await task


@asynccontextmanager
async def writing(there: World, org: str) -> AsyncIterator[list[int]]:
    """Acknowledged numbers, one after the other; the last sequence is the list's last item's."""
    acknowledged: list[int] = []
    leave = asyncio.Event()

    async def write() -> None:
        while not leave.is_set():
            number = len(acknowledged) + 1_000_000
            await there.hosted(org, "live", {"n": number})
            acknowledged.append(number)
            await asyncio.sleep(0.002)

    task = asyncio.create_task(write())
    try:
        yield acknowledged
    finally:
        leave.set()
        await task


async def live_numbers(there: World, org: str) -> list[int]:
    rows = await there.database.fetch(
        "SELECT payload FROM messages m JOIN organizations o ON o.id = m.organization"
        " JOIN devices d ON d.id = m.device WHERE o.name = $1 AND d.name = 'live' ORDER BY sequence",
        org,
    )
    return [json.loads(row["payload"])["n"] for row in rows]


async def test_a_rebuild_under_load_is_equal_and_no_read_fails(there: World, service: Service) -> None:
    org = organization()
    await there.hosted(org, "d1", {"status": "online"}, "status")
    await there.stored(await there.fill(org, 6000, devices=5, bad_every=100))
    before = await there.dump()
    async with reading(there, org) as answers, writing(there, org) as acknowledged:
        asked = await start(there, "one")
        assert await start(there, "one") == asked or (await state(there)).id == asked.id
        done = await finished(there)
        assert (done.state, done.error) == ("done", None)
        read_until_then, written_until_then = answers[0], len(acknowledged)
        await eventually(lambda: _more(answers, read_until_then))
        await eventually(lambda: _longer(acknowledged, written_until_then + 20))
    assert read_until_then > 0
    assert done.comparison is not None
    assert {table for table, found in done.comparison.items() if not found.equal} == set()
    assert done.comparison["messages"].rows >= 6001
    assert done.messages >= 6001
    await there.stored(await there.hosted(org, "live", {"n": 0}))
    assert await live_numbers(there, org) == [*acknowledged, 0], "lost, doubled or out of order"
    after = await there.dump()
    assert [row for row in after[0] if row[1] != "live"] == before[0]
    assert [row for row in after[1] if row[1] != "live"] == before[1]
    assert [row for row in after[2] if row[1] != "live"] == before[2]
    assert await there.database.fetchval("SELECT to_regnamespace('shadow_old') IS NULL")


async def test_a_rebuild_sets_right_what_was_wrong_and_says_so(
    there: World, service: Service, postgres_server: Postgres, database: DatabaseUrls
) -> None:
    org = organization()
    await there.stored(await there.fill(org, 200, devices=2))
    before = await there.dump()
    name = database.owner.rpartition("/")[2]
    postgres_server.sql("UPDATE samples SET numbers = '{-1}' WHERE sequence % 7 = 0", database=name)
    postgres_server.sql("DELETE FROM samples WHERE sequence % 11 = 0", database=name)
    postgres_server.sql("UPDATE devices SET messages = 5, last_seen = now()", database=name)
    await start(there)
    done = await finished(there)
    assert done.state == "done"
    assert done.comparison is not None
    assert {table for table, found in done.comparison.items() if not found.equal} == {"samples", "devices"}
    assert await there.dump() == before


@pytest.mark.faults
async def test_a_rebuild_goes_on_after_kill_9(there: World, service: Service) -> None:
    org = organization()
    await there.stored(await there.fill(org, 30_000, devices=50))
    before = await there.dump()
    await start(there)
    kills = 0
    while kills < 3:
        wanted = 4000 * (kills + 1)

        async def far_enough() -> bool:
            row = await there.database.fetchrow(
                "SELECT messages, finished_at FROM rebuilds ORDER BY id DESC LIMIT 1"
            )
            assert row is not None
            return row["messages"] >= wanted or row["finished_at"] is not None  # noqa: B023

        await eventually(far_enough, timeout_s=30, every_s=0.01)
        assert (
            await there.database.fetchval("SELECT finished_at FROM rebuilds ORDER BY id DESC LIMIT 1")
        ) is None
        service.process.kill()
        service.start()
        kills += 1
    done = await finished(there)
    assert done.state == "done"
    assert done.comparison is not None
    assert all(found.equal for found in done.comparison.values()), done.comparison
    assert await there.dump() == before


async def test_one_at_a_time_and_it_can_be_cancelled(there: World, service: Service) -> None:
    org = organization()
    await there.stored(await there.fill(org, 5000))
    await start(there)
    with pytest.raises(Refused) as refused:
        await start(there)
    assert refused.value.code == "rebuild.running"
    assert (await there.ask(CANCEL_REBUILD, CancelRebuild(**OPERATOR))).state == "cancelled"
    with pytest.raises(Refused) as refused:
        await there.ask(CANCEL_REBUILD, CancelRebuild(**OPERATOR))
    assert refused.value.code == "not_found"
    await eventually(lambda: there.database.fetchval("SELECT to_regnamespace('shadow') IS NULL"))
    assert (await there.counts(org))[0] == 5000
    await start(there)
    assert (await finished(there)).state == "done"


@pytest.mark.faults
async def test_what_the_log_holds_no_longer_is_carried_over(
    there: World, service: Service, own_nats: NatsServer
) -> None:
    org = organization()
    await there.hosted(org, "early", {"status": "online"}, "status")
    await there.hosted(org, "early", {"n": 1, "only": "then", "ts": 1772359200})
    await there.stored(await there.fill(org, 300, devices=3))
    before = await there.dump()
    async with platform_client(own_nats, "provision") as client:
        info = json.loads((await client.request("$JS.API.STREAM.INFO.MESSAGES", b"")).data)
        for most in (100, -1):
            config = json.dumps({**info["config"], "max_msgs": most}).encode()
            answer = json.loads((await client.request("$JS.API.STREAM.UPDATE.MESSAGES", config)).data)
            assert "error" not in answer
    places = (await there.ask(GET_LOGS, GetLogs(**OPERATOR))).projections
    assert next(place for place in places if place.projection == "messages").first > 1
    await start(there)
    done = await finished(there)
    assert (done.state, done.error) == ("done", None)
    assert done.carried > 0
    assert done.comparison is not None
    assert done.comparison["samples"].equal
    assert done.comparison["messages"].equal
    assert await there.dump() == before
    early = await there.ask(GET_DEVICE, GetDevice(organization=org, id="early"))
    assert early.online
    assert early.latest["only"].value == "then"


async def test_every_table_is_either_made_anew_or_kept(there: World) -> None:
    tables = await there.database.fetch(
        "SELECT relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)"
    )
    assert sorted(row["relname"] for row in tables) == sorted((*MODELS, *KEPT))


async def _more(count: list[int], than: int) -> bool:
    return count[0] > than


async def _longer(found: list[int], than: int) -> bool:
    return len(found) > than
