"""What an organization keeps no longer is seen by nobody, and goes; what it was rolled up to stays."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.failures import Refused
from contracts.retention import (
    CHANGE_RETENTION,
    GET_RETENTION,
    GET_STORAGE,
    ChangeRetention,
    GetRetention,
    GetStorage,
    Retention,
)
from contracts.series import LIST_LATEST, ListLatest
from contracts.telemetry import (
    GET_DEVICE,
    LIST_MESSAGES,
    LIST_TELEMETRY,
    GetDevice,
    ListMessages,
    ListTelemetry,
)
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from services.telemetry.database import plain_url
from services.telemetry.retention import LOCK, RetentionKeeper
from tests.conftest import RunService
from tests.support.eventually import eventually
from tests.support.service import Service
from tests.telemetry.plain_series import ask, send
from tests.telemetry.redecoding import new_organization
from tests.telemetry.test_rollups import AT_ONCE, rolled_up
from tests.telemetry.world import World, organization, world

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - timedelta(days=20)
FRESH = TODAY - timedelta(days=2)


@pytest.fixture(scope="module")
def services(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> list[Service]:
    return [
        run_service(
            "credentials", own_nats, RETENTION_MAX='{"raw_days":400,"minutes_days":1100,"hours_days":null}'
        ),
        run_service("telemetry", own_nats, database, **AT_ONCE, HOUSEKEEPING_S="1"),
    ]


@pytest.fixture
async def here(services: list[Service], own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    async with world(own_nats, database) as made:
        yield made


async def keep(here: World, org: str, raw: int, minutes: int, hours: int | None = None) -> None:
    wanted = Retention(raw_days=raw, minutes_days=minutes, hours_days=hours)
    await here.ask(CHANGE_RETENTION, ChangeRetention(organization=org, actor="key:x", retention=wanted))


async def since(here: World, org: str, **expected: datetime | None) -> None:
    """Returns when that is how far back it goes."""

    async def moved() -> bool:
        view = await here.ask(GET_RETENTION, GetRetention(organization=org))
        return all(getattr(view, name) == moment for name, moment in expected.items())

    await eventually(moved)


async def stored(here: World, org: str) -> dict[str, int]:
    found = {}
    for table in ("samples", "rollups_1m", "rollups_1h", "rollups_1d"):
        found[table] = await here.database.fetchval(
            f"SELECT count(*) FROM {table} WHERE organization = (SELECT id FROM organizations WHERE name = $1)",
            org,
        )
    return found


async def hourly(here: World, org: str, **more: Any) -> Any:
    query = {
        "from_": OLD,
        "to": OLD + timedelta(days=1),
        "interval": "1h",
        "aggregate": ["sum", "count"],
        **more,
    }
    page = await ask(here, org, **query)
    return [each.values for each in page.items]


async def filled(here: World, org: str) -> None:
    """Two readings a minute for three hours, long ago and two days ago."""
    for start in (OLD, FRESH):
        points = [(start + timedelta(seconds=30 * n), {"t": n}) for n in range(360)]
        last = await send(here, org, "d", points)
    await here.stored(last)


async def test_a_shorter_retention_hides_at_once_deletes_soon_and_leaves_roll_ups(here: World) -> None:
    org, other = await new_organization(here), await new_organization(here, "Keeps it")
    for each in (org, other):
        await filled(here, each)
    await keep(here, other, 100, 200)
    await keep(here, org, 7, 90)
    await since(
        here,
        org,
        raw_since=TODAY - timedelta(days=7),
        minutes_since=TODAY - timedelta(days=90),
        hours_since=None,
    )
    rows = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org, limit=1000))).items
    assert {row.timestamp >= FRESH for row in rows} == {True}
    assert await hourly(here, org) == await hourly(here, other)  # roll-ups, and they were made before
    for question in ({"aggregate": ["p95"]}, {"integration_id": ["hosted"]}, {"interval": "90s"}):
        with pytest.raises(Refused) as refused:
            await hourly(here, org, **question)
        assert refused.value.code == "retention.exceeded"
        assert datetime.fromisoformat(refused.value.extra["kept_since"]) == TODAY - timedelta(days=7)
        assert await hourly(here, other, **question)

    async def deleted() -> bool:
        return await stored(here, org) == {
            "samples": 360,
            "rollups_1m": 360,
            "rollups_1h": 6,
            "rollups_1d": 2,
        }

    await eventually(deleted)
    assert (await stored(here, other))["samples"] == 720
    await keep(here, org, 30, 90)  # what was let go does not come back, and nothing says that it does
    await since(here, org, raw_since=TODAY - timedelta(days=7))
    await keep(here, org, 1, 3, 5)
    await since(here, org, hours_since=TODAY - timedelta(days=5))

    async def all_old_gone() -> bool:
        return await stored(here, org) == {"samples": 0, "rollups_1m": 180, "rollups_1h": 3, "rollups_1d": 1}

    await eventually(all_old_gone)
    latest = (await here.ask(LIST_LATEST, ListLatest(organization=org))).items[0].metrics["t"]
    assert (latest.value, latest.timestamp) == (359, FRESH + timedelta(seconds=30 * 359))
    detail = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d"))
    assert detail.latest["t"] == latest


async def test_a_deletion_says_how_much_is_left_and_how_much_is_gone(here: World) -> None:
    org, other = await new_organization(here), await new_organization(here, "Keeps it")
    for each in (org, other):
        await filled(here, each)
        await rolled_up(here, each)
    await keep(here, other, 100, 200)
    await since(here, other, raw_since=TODAY - timedelta(days=100))
    await here.database.execute("SELECT pg_advisory_lock($1)", LOCK)  # as if another replica deleted
    try:
        await keep(here, org, 7, 90)
        await since(here, org, raw_since=TODAY - timedelta(days=7))
        view = await here.ask(GET_RETENTION, GetRetention(organization=org))
        assert view.deletion is not None
        assert (view.deletion.state, view.deletion.rows_left) == ("waiting", 360)
    finally:
        await here.database.execute("SELECT pg_advisory_unlock($1)", LOCK)

    async def done() -> bool:
        held = (await here.ask(GET_RETENTION, GetRetention(organization=org))).deletion
        return held is not None and (held.state, held.rows_deleted, held.rows_left) == ("done", 360, 0)

    await eventually(done)
    held = (await here.ask(GET_RETENTION, GetRetention(organization=org))).deletion
    assert held is not None
    assert held.began_at is not None
    assert held.ended_at is not None
    assert held.began_at < held.ended_at
    theirs = (await here.ask(GET_RETENTION, GetRetention(organization=other))).deletion
    assert theirs is not None
    assert (theirs.rows_deleted, theirs.rows_left) == (0, 0), "nothing of another organization's is told"


async def test_raw_readings_stay_while_their_roll_ups_are_not_made(
    here: World, services: list[Service]
) -> None:
    org = await new_organization(here)
    await filled(here, org)
    await rolled_up(here, org)
    await here.database.execute(  # as if it could not be computed now
        "INSERT INTO dirty_hours (device, hour, organization, since) SELECT id, $2, organization,"
        " now() + interval '1 hour' FROM devices WHERE organization = (SELECT id FROM organizations WHERE name = $1)",
        org,
        OLD + timedelta(hours=1),
    )
    await keep(here, org, 7, 90)
    await since(here, org, raw_since=OLD)
    assert (await stored(here, org))["samples"] == 720

    async def waits() -> bool:
        held = (await here.ask(GET_RETENTION, GetRetention(organization=org))).deletion
        return held is not None and held.state == "waiting"

    await eventually(waits)
    await here.database.execute(
        "UPDATE dirty_hours SET since = now() WHERE hour = $1", OLD + timedelta(hours=1)
    )
    await since(here, org, raw_since=TODAY - timedelta(days=7))


async def test_what_comes_later_than_it_is_kept_changes_no_roll_up(here: World) -> None:
    org = await new_organization(here)
    await filled(here, org)
    await keep(here, org, 7, 90)
    await since(here, org, raw_since=TODAY - timedelta(days=7))
    before = await hourly(here, org)
    await here.stored(await send(here, org, "d", [(OLD + timedelta(minutes=1), {"t": 1e6})]))
    await rolled_up(here, org)
    assert await hourly(here, org) == before
    assert (await stored(here, org))["samples"] == 360


async def test_whole_partitions_go_when_nobody_keeps_them(here: World, database: DatabaseUrls) -> None:
    """The rest of the platform's organizations are of other tests: with these days nobody keeps any of it."""

    class Nobody:
        def __init__(self) -> None:
            self.retentions: dict[str, Retention] = {}
            self.on_retention = None

    async with asyncpg.create_pool(plain_url(database.projector), min_size=0, max_size=3) as pool:
        await pool.execute("SELECT hybridmq_ensure_rollups($1)", TODAY - timedelta(days=50))
        await pool.execute("SELECT hybridmq_ensure_day('samples', $1)", (TODAY - timedelta(days=50)).date())
        keeper = RetentionKeeper(pool, Nobody(), Retention(raw_days=40, minutes_days=41, hours_days=42), 1.0)  # type: ignore[arg-type]
        await keeper.enforce(TODAY.date())
        names = {row[0] for row in await pool.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    day = f"{TODAY - timedelta(days=50):%Y%m%d}"
    assert not names & {f"samples_{day}", f"rollups_1m_{day}"}
    assert f"rollups_1d_{TODAY:%Y}0101" in names


@pytest.mark.parametrize(
    ("days", "code", "field"),
    [
        ((8, 7, None), "request.invalid", "minutes_days"),
        ((8, 9, 7), "request.invalid", "minutes_days"),
        ((401, 500, None), "limit.reached", "raw_days"),
        ((10, 1101, None), "limit.reached", "minutes_days"),
    ],
)
async def test_what_cannot_be_kept_is_refused(here: World, days: Any, code: str, field: str) -> None:
    org = await new_organization(here)
    with pytest.raises(Refused) as refused:
        await keep(here, org, *days)
    assert (refused.value.code, refused.value.field) == (code, field)


async def test_storage_is_estimated_for_an_organization_and_its_devices_only(
    here: World, database: DatabaseUrls
) -> None:
    org, other, dice = organization(), organization(), random.Random(3)
    for each, count in ((org, 900), (other, 300)):
        for device in ("a", "b"):
            points = [(FRESH + timedelta(seconds=dice.randrange(80_000)), {"t": 1}) for _ in range(count)]
            await here.stored(await send(here, each, device, points))
    owner = await asyncpg.connect(plain_url(database.owner))
    await owner.execute("ANALYZE samples")
    await owner.close()
    view = await here.ask(GET_STORAGE, GetStorage(organization=org, device_id=("a",)))
    readings = {each.tier: each for each in view.items}["readings"]
    assert 1500 < readings.rows < 2100
    assert 100 * readings.rows < readings.bytes < 1000 * readings.rows
    assert 700 < {each.tier: each for each in view.devices[0].items}["readings"].rows < 1100
    for stranger in (other, organization()):
        with pytest.raises(Refused, match="not_found"):
            await here.ask(GET_STORAGE, GetStorage(organization=stranger, device_id=("nobody",)))
    assert (await here.ask(GET_STORAGE, GetStorage(organization=organization()))).bytes == 0


async def test_messages_are_hidden_with_their_readings(here: World) -> None:
    org = await new_organization(here)
    await here.stored(await here.hosted(org, "d", {"t": 1}))
    assert (await here.ask(LIST_MESSAGES, ListMessages(organization=org))).items

    async def known() -> bool:
        return (await here.ask(GET_RETENTION, GetRetention(organization=org))).raw_since is not None

    await eventually(known)
    await here.database.execute(
        "UPDATE retentions SET raw_since = now() + interval '1 day'"
        " WHERE organization = (SELECT id FROM organizations WHERE name = $1)",
        org,
    )
    assert (await here.ask(LIST_MESSAGES, ListMessages(organization=org))).items == []
