"""Roll-ups say what samples say: always, exactly, and chosen by the question itself."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from contracts import intervals
from contracts.rebuild import GET_REBUILD, START_REBUILD, GetRebuild, StartRebuild
from contracts.series import Aggregate
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from services.telemetry.database import plain_url
from services.telemetry.rollups.marks import mark_dirty
from tests.conftest import RunService
from tests.support.eventually import eventually
from tests.support.service import Service
from tests.telemetry.plain_series import Point, ask, computed, send
from tests.telemetry.redecoding import CUSTOM, earlier, in_state, nested, new_organization, order
from tests.telemetry.world import World, organization, world

T0 = (datetime.now(UTC) - timedelta(days=6)).replace(hour=10, minute=0, second=0, microsecond=0)
KEPT: tuple[Aggregate, ...] = ("avg", "min", "max", "sum", "count", "first", "last")
AT_ONCE = {"ROLLUP_GRACE_S": "0", "ROLLUP_SETTLE_S": "0"}


@pytest.fixture(scope="module")
def services(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> list[Service]:
    """Hours are rolled up as soon as they are over."""
    return [
        run_service("credentials", own_nats),
        run_service("telemetry", own_nats, database, **AT_ONCE),
    ]


@pytest.fixture
async def here(services: list[Service], own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    async with world(own_nats, database) as made:
        yield made


async def rolled_up(here: World, org: str) -> None:
    """Returns when nothing of the organization is dirty, but for hours that are not over."""

    async def clean() -> bool:
        waiting = await here.database.fetchval(
            "SELECT (SELECT count(*) FROM dirty_hours d JOIN organizations o ON o.id = d.organization"
            " WHERE o.name = $1 AND hour < date_trunc('hour', now()) - interval '1 hour') + (SELECT count(*)"
            " FROM dirty_days d JOIN organizations o ON o.id = d.organization"
            " WHERE o.name = $1 AND day < date_trunc('day', now()) - interval '1 day')",
            org,
        )
        return bool(waiting == 0)

    await eventually(clean, timeout_s=60)


async def assert_series_are_plain(
    here: World, org: str, held: dict[tuple[str, str], list[Point]], **query: Any
) -> None:
    page = await ask(here, org, aggregate=KEPT, limit=1000, **query)
    assert sorted((each.device_id, each.metric) for each in page.items) == sorted(held)
    edges = [*page.timestamps, query["to"]]
    for each in page.items:
        points = [p for p in held[each.device_id, each.metric] if query["from_"] <= p[0] < query["to"]]
        for aggregate in KEPT:
            expected = [
                computed([point for point in points if start <= point[0] < end], aggregate)
                for start, end in pairwise(edges)
            ]
            for value, wanted in zip(each.values[aggregate], expected, strict=True):
                assert alike(value, wanted), (each.metric, aggregate, value, wanted)


def alike(found: Any, expected: Any) -> bool:
    if type(expected) in (int, float) and type(found) in (int, float):
        return bool(found == pytest.approx(expected, rel=1e-12, abs=1e-9))
    return (found, type(found)) == (expected, type(expected))


def drawn(dice: random.Random, count: int) -> list[tuple[datetime, dict[str, Any]]]:
    """Readings of four days, several at one time, kinds mixed, some beyond what a double holds."""
    found = []
    for _ in range(count):
        at = T0 + timedelta(
            seconds=dice.choice(
                (0, 59.999999, 3600, 86_399.5, dice.randrange(7200), dice.randrange(4 * 86_400))
            )
        )
        values: dict[str, Any] = {"t": dice.choice((dice.uniform(-50, 50), dice.randrange(100)))}
        if dice.random() < 0.5:
            values["mixed"] = dice.choice((True, "open", 2**53 + 1, 7, -0.25, 2**52 + 1, 1_700_000_000_001))
        found.append((at, values))
    return found


async def test_roll_ups_and_samples_agree_also_with_late_readings(here: World) -> None:
    org, dice = organization(), random.Random(17)
    held: dict[tuple[str, str], list[Point]] = {}

    async def sent(count: int) -> None:
        for device in ("a", "b"):
            points = drawn(dice, count)
            for at, values in points:
                for name, value in values.items():
                    held.setdefault((device, name), []).append((at, value))
            last = await send(here, org, device, points)
        await here.stored(last)

    questions: list[dict[str, Any]] = [
        {"from_": T0, "to": T0 + timedelta(hours=2), "interval": "1m"},
        {"from_": T0 - timedelta(seconds=7.5), "to": T0 + timedelta(days=3, seconds=11), "interval": "15m"},
        {"from_": T0 + timedelta(seconds=59.5), "to": T0 + timedelta(days=4), "interval": "6h"},
        {"from_": T0 - timedelta(minutes=90), "to": T0 + timedelta(days=5, minutes=1), "interval": "1d"},
        {
            "from_": T0,
            "to": T0 + timedelta(days=5),
            "interval": "1d",
            "time_zone": "Asia/Kolkata",  # half an hour beside the hours of UTC
        },
        {"from_": T0, "to": T0 + timedelta(days=5), "interval": "P1M"},
    ]
    await sent(300)
    for late in (False, True):  # right after late readings, and when they are rolled up too
        for settled in (False, True):
            if settled:
                await rolled_up(here, org)
            for question in questions:
                await assert_series_are_plain(here, org, held, **question)
        if not late:
            await sent(20)


async def test_roll_ups_are_what_is_read_where_they_are_exact_and_samples_where_not(here: World) -> None:
    """Samples are removed behind their back: who still says them read roll-ups."""
    org = organization()
    points = [(T0 + timedelta(minutes=n), {"t": n}) for n in range(120)]
    await here.stored(await send(here, org, "d", points))
    await rolled_up(here, org)
    await here.database.execute(
        "DELETE FROM samples WHERE organization = (SELECT id FROM organizations WHERE name = $1)", org
    )
    span = {"from_": T0, "to": T0 + timedelta(hours=2)}
    for interval in ("1m", "20m", "1h", "2h", "1d"):
        page = await ask(here, org, aggregate=["count"], interval=interval, **span)
        assert sum(page.items[0].values["count"]) == 120, interval  # type: ignore[arg-type]
    for question in ({"interval": "90s"}, {"interval": "1h", "integration_id": ["hosted"]}):
        page = await ask(here, org, aggregate=["count"], **span, **question)
        assert sum(page.items[0].values["count"]) == 0  # type: ignore[arg-type]
    page = await ask(here, org, aggregate=["p50"], interval="1h", **span)
    assert page.items[0].values["p50"] == [None, None]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([2**53 + 1, 2**53 + 3], 2**54 + 4),
        ([2**53 - 1] * 3, 3 * (2**53 - 1)),
        ([2**62, 1, -(2**62)], 1),
        ([1e308, 1e308], 2 * 10**308),
        ([2**52 - 1] * 9, 9 * (2**52 - 1)),
    ],
)
async def test_sums_of_roll_ups_are_exact(here: World, values: list[float], total: int) -> None:
    """Spread over minutes, hours and days."""
    org = organization()
    steps = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
    points = [
        (T0 + step * n, {f"m{at}": value}) for at, step in enumerate(steps) for n, value in enumerate(values)
    ]
    await here.stored(await send(here, org, "d", points))
    await rolled_up(here, org)
    span = {"from_": T0 - timedelta(hours=10), "to": T0 + timedelta(days=4, hours=14)}
    page = await ask(here, org, aggregate=["sum", "min"], interval="P1M", **span)
    for each in page.items:
        if each.metric == "m3" and len(values) > 4:
            continue  # some lie behind the span
        assert sum(v for v in each.values["sum"] if v is not None) == total  # type: ignore[misc]
        assert min(v for v in each.values["min"] if v is not None) == min(values)


async def test_readings_that_come_while_their_hours_are_computed_are_in_every_answer(here: World) -> None:
    """Nobody waits here: hours are dirty, under way or clean as it happens."""
    org, dice, total = organization(), random.Random(5), 0
    span = {"from_": T0, "to": T0 + timedelta(hours=2), "interval": "1h", "aggregate": ["count", "sum"]}
    for burst in range(1, 31):
        points = [(T0 + timedelta(seconds=dice.randrange(7200)), {"t": burst}) for _ in range(7)]
        total += 7 * burst
        await here.stored(await send(here, org, "d", points))
        values = (await ask(here, org, **span)).items[0].values
        assert sum(values["count"]) == 7 * burst  # type: ignore[arg-type]
        assert sum(value for value in values["sum"] if value is not None) == total  # type: ignore[misc]
        await asyncio.sleep(dice.choice((0, 0.05, 0.3)))
    await rolled_up(here, org)
    assert (
        await here.database.fetchval(
            "SELECT sum(n) FROM rollups_1h WHERE organization = (SELECT id FROM organizations WHERE name = $1)",
            org,
        )
        == 7 * 30
    )


async def test_a_mark_that_is_renewed_while_its_hour_is_computed_stays(
    here: World, database: DatabaseUrls
) -> None:
    org = organization()
    await here.stored(await send(here, org, "d", [(T0, {"t": 1})]))
    await rolled_up(here, org)
    row = await here.database.fetchrow(
        "SELECT * FROM rollups_1h JOIN organizations o ON o.id = organization WHERE o.name = $1", org
    )
    assert row is not None
    await here.database.execute(
        "INSERT INTO dirty_hours (device, hour, organization, since) VALUES ($1, $2, $3, now() + interval '3 s')",
        row["device"],
        T0,
        row["organization"],
    )
    late = await asyncpg.connect(plain_url(database.projector))
    transaction = late.transaction()
    await transaction.start()  # a batch of the projection that is under way
    await late.execute(
        "INSERT INTO samples SELECT time + interval '1 s', sequence, organization, device, epoch, position, flags,"
        " source, topic, metrics, numbers, others, units, decoder FROM samples WHERE device = $1",
        row["device"],
    )
    await mark_dirty(late, [(row["device"], T0, row["organization"])])
    await eventually(
        lambda: here.database.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND query LIKE '%DELETE FROM dirty_hours%'"
        )
    )  # it has computed without this reading
    await transaction.commit()
    await late.close()
    await rolled_up(here, org)
    page = await ask(here, org, from_=T0, to=T0 + timedelta(hours=1), interval="1h", aggregate=["count"])
    assert page.items[0].values["count"] == [2]


async def test_what_is_decoded_again_shows_in_roll_ups(here: World) -> None:
    org = await new_organization(here)
    moments = [T0 + timedelta(minutes=7 * n) for n in range(40)]
    for n, at in enumerate(moments):
        last = await here.hosted(org, "d", {**nested(n), "ts": at.isoformat()})
    await here.stored(last)
    await rolled_up(here, org)
    assert {name for name, *_ in await totals(here, org)} == {"body.values.t", "kind"}
    job = await order(here, org, earlier(hours=1), CUSTOM)
    await in_state(here, org, job, "done")
    assert await totals(here, org) == [("t", 40, sum(range(40)))]  # at once: their hours are dirty


async def test_hours_that_a_rebuild_makes_otherwise_are_rolled_up_anew(here: World) -> None:
    org = organization()
    await here.stored(await send(here, org, "d", [(T0 + timedelta(minutes=n), {"t": n}) for n in range(120)]))
    await rolled_up(here, org)
    held = await stored_roll_ups(here, org)
    assert len(held) == 120 + 2 + 1
    for table in ("samples", "rollups_1m", "rollups_1h", "rollups_1d"):  # lost, and nobody marked it
        await here.database.execute(
            f"DELETE FROM {table} WHERE time >= $1 AND time < $2",
            T0 - timedelta(days=1),
            T0 + timedelta(days=9),
        )
    operator = {"organization": "platform", "actor": "admin"}
    await here.ask(START_REBUILD, StartRebuild(**operator))

    async def ended() -> bool:
        rebuild = (await here.ask(GET_REBUILD, GetRebuild(**operator))).rebuild
        return rebuild is not None and rebuild.state == "done"

    await eventually(ended, timeout_s=60)
    await rolled_up(here, org)
    assert await stored_roll_ups(here, org) == held


async def totals(here: World, org: str) -> list[tuple[str, int, Any]]:
    """Metric, count and sum of all readings."""
    span = {"from_": T0 - timedelta(days=1), "to": T0 + timedelta(days=9)}
    page = await ask(here, org, aggregate=["count", "sum"], interval="P1M", **span)
    found = []
    for each in page.items:
        counts, sums = each.values["count"], each.values["sum"]
        count = sum(v for v in counts if v is not None)  # type: ignore[misc]
        total = sum(v for v in sums if v is not None)  # type: ignore[misc]
        found.append((each.metric, int(count), total))
    return sorted(found)


async def stored_roll_ups(here: World, org: str) -> list[Any]:
    rows = []
    for table in ("rollups_1m", "rollups_1h", "rollups_1d"):
        rows += [
            tuple(row)
            for row in await here.database.fetch(
                f"SELECT '{table}', r.* FROM {table} r JOIN organizations o ON o.id = r.organization"
                " WHERE o.name = $1 ORDER BY device, metric, time",
                org,
            )
        ]
    return rows


def test_intervals_of_whole_days_are_aligned_to_utc_only() -> None:
    assert intervals.parse("1d").step(intervals.zone("UTC")) == timedelta(days=1)
