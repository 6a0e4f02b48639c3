"""How many devices are online, now and minute by minute: counted, never filled, of one organization only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.devices import DeviceDescribed
from contracts.failures import Refused
from contracts.presence import GET_PRESENCE, GetPresence, PresencePage
from deploy.local.nats import NatsServer
from services.telemetry.database import plain_url
from services.telemetry.presence_runs import count_once, count_presence
from tests.support.eventually import eventually
from tests.telemetry.describing import said
from tests.telemetry.world import World, organization

# Not now: the service beside counts for itself, and leaves alone what is later than its own minute.
T0 = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


async def says(here: World, org: str, device: str, status: str) -> None:
    await here.stored(await here.hosted(org, device, {"status": status}, "status"))


async def presence(here: World, org: str, **wishes: Any) -> PresencePage:
    return await here.ask(GET_PRESENCE, GetPresence(organization=org, **wishes))


async def counted(here: World, *minutes: float) -> None:
    async with asyncpg.create_pool(plain_url(here.urls.projector), min_size=1, max_size=1) as pool:
        for minute in minutes:
            await count_once(pool, at(minute))


async def test_devices_are_counted_by_what_was_said_of_them(here: World, own_nats: NatsServer) -> None:
    org, other = organization(), organization()
    await says(here, org, "d1", "online")
    await says(here, org, "d2", "online")
    await says(here, org, "d3", "offline")
    await here.stored(await here.hosted(org, "d4", {"t": 1}))
    await says(here, other, "d1", "online")
    await said(here, own_nats, org, DeviceDescribed(device_id="d2", hidden=True))
    now = (await presence(here, org)).now
    assert (now.devices, now.online, now.offline, now.unknown, now.hidden) == (4, 2, 1, 1, 1)
    now = (await presence(here, other)).now
    assert (now.devices, now.online, now.offline, now.unknown, now.hidden) == (1, 1, 0, 0, 0)
    now = (await presence(here, organization())).now
    assert (now.devices, now.online) == (0, 0)


async def test_who_counts_begins_at_once_and_forgets_what_is_old(here: World) -> None:
    org, now = organization(), datetime.now(UTC)
    await says(here, org, "d1", "online")
    await here.database.execute(
        "INSERT INTO presence_runs (organization, since, until, online)"
        " SELECT id, $2, $2, 7 FROM organizations WHERE name = $1",
        org,
        now - timedelta(days=20),
    )

    async def runs() -> bool:
        found = await here.database.fetch(
            "SELECT online FROM presence_runs WHERE organization ="
            " (SELECT id FROM organizations WHERE name = $1)",
            org,
        )
        return [row["online"] for row in found] == [1]

    async with asyncpg.create_pool(plain_url(here.urls.projector), min_size=1, max_size=1) as pool:
        task = asyncio.create_task(count_presence(pool, 14))
        await eventually(runs, timeout_s=60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    page = await presence(here, org)
    assert page.online[-1] == 1, "the interval that is not over shows what is so now"
    assert len(page.online) == len(page.timestamps) in (60, 61)


async def test_a_history_shows_each_minute_as_it_was_and_gaps_as_gaps(here: World) -> None:
    org, other = organization(), organization()
    await says(here, org, "d1", "online")
    await says(here, org, "d2", "online")
    await says(here, other, "d1", "online")
    await counted(here, 0, 1, 1.5, 2)
    await says(here, org, "d2", "offline")
    await counted(here, 3, 4)
    await counted(here, 10)  # nobody counted in between
    page = await presence(here, org, from_=T0, to=at(12))
    expected: list[int | None] = [2, 2, 2, 1, 1, None, None, None, None, None, 1, None]
    assert page.online == expected
    assert [page.timestamps[0], page.end] == [T0, at(12)]
    # of an interval the last that was counted in it
    assert (await presence(here, org, from_=T0, to=at(12), interval="4m")).online == [1, 1, 1]
    assert (await presence(here, other, from_=T0, to=at(4))).online == [1, 1, 1, 1]
    runs = await here.database.fetch(
        "SELECT since, until FROM presence_runs WHERE since < $2 AND organization ="
        " (SELECT id FROM organizations WHERE name = $1) ORDER BY since",
        org,
        at(60),
    )
    assert [tuple(run) for run in runs] == [(at(0), at(2)), (at(3), at(4)), (at(10), at(10))]


async def test_counting_twice_in_a_minute_changes_nothing(here: World) -> None:
    org = organization()
    await says(here, org, "d1", "online")
    await counted(here, 0)
    await says(here, org, "d2", "online")
    await counted(here, 0)
    assert (await presence(here, org, from_=T0, to=at(1))).online == [1]


async def test_another_organizations_runs_are_not_seen(here: World) -> None:
    org = organization()
    await says(here, org, "d1", "online")
    await counted(here, 0)
    connection = await asyncpg.connect(plain_url(here.urls.query))
    try:
        assert await connection.fetchval("SELECT count(*) FROM presence_runs") == 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('hybridmq.organization', $1, true)", organization())
            assert await connection.fetchval("SELECT count(*) FROM presence_runs") == 0
            await connection.execute("SELECT set_config('hybridmq.organization', $1, true)", org)
            assert await connection.fetchval("SELECT count(*) FROM presence_runs") > 0
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"interval": "90s"}, "interval"),
        ({"interval": "often"}, "interval"),
        ({"interval": "1m", "from_": at(-60 * 24 * 30), "to": at(0)}, "interval"),
        ({"from_": at(1), "to": at(0)}, "from"),
    ],
    ids=["seconds", "words", "too-many", "backwards"],
)
async def test_what_is_not_counted_is_refused(here: World, wishes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as error:
        await presence(here, organization(), **wishes)
    assert (error.value.code, error.value.field) == ("request.invalid", field)
