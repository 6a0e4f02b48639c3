"""The latest value of every metric of every device."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.calls import Page
from contracts.failures import Refused
from contracts.series import LIST_LATEST, LatestRow, ListLatest
from services.telemetry.queries import cursors
from tests.telemetry.world import World, organization

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)


async def ask(here: World, org: str, **query: Any) -> Page[LatestRow]:
    return await here.ask(LIST_LATEST, ListLatest.model_validate({"organization": org, **query}))


def values(page: Page[LatestRow]) -> dict[str, dict[str, Any]]:
    return {row.device_id: {name: held.value for name, held in row.metrics.items()} for row in page.items}


async def test_each_metric_has_its_newest_value_by_its_own_time(here: World) -> None:
    org = organization()
    await here.hosted(org, "a", {"t": 1, "h": 5, "ts": "2026-02-20T10:00:00Z"})
    await here.hosted(org, "a", {"t": 3, "on": True, "ts": "2026-03-01T12:00:00Z"})
    await here.hosted(org, "a", {"t": 2, "ts": "2026-03-01T11:00:00Z"})  # late: not the newest
    await here.hosted(org, "a", {"t": 4, "ts": "2026-03-01T12:00:00Z"})  # of the same time: the later one
    await here.hosted(org, "b", {"type": "t", "value": 21.5, "units": "°C"}, "sensor")
    await here.stored(await here.hosted(org, "c", {"big": 2**60, "s": "x", "ts": T0.isoformat()}))
    page = await ask(here, org)
    assert values(page) == {
        "a": {"t": 4, "h": 5, "on": True},
        "b": {"t": 21.5},
        "c": {"big": 2**60, "s": "x"},
    }
    row = next(row for row in page.items if row.device_id == "a")
    assert row.metrics["h"].timestamp == T0 - timedelta(days=9)
    assert next(row for row in page.items if row.device_id == "b").metrics["t"].unit == "°C"
    assert values(await ask(here, org, metric=["t", "s"])) == {
        "a": {"t": 4},
        "b": {"t": 21.5},
        "c": {"s": "x"},
    }
    assert values(await ask(here, org, device_id=["c"], metric=["t"])) == {}
    assert values(await ask(here, org, device_id=["c", "a"], metric=["h", "big"])) == {
        "a": {"h": 5},
        "c": {"big": 2**60},
    }
    assert values(await ask(here, org, metric=["nothing"])) == {}
    with pytest.raises(Refused, match="not_found"):
        await ask(here, org, device_id=["a", "nobody"])


async def test_pages_hold_every_device_once_though_new_ones_come(here: World) -> None:
    org = organization()
    for number in range(10):
        last = await here.hosted(org, f"d{number}", {"n": number, "m": 1})
    await here.stored(last)
    seen: list[str] = []
    cursor = None
    while True:
        page = await ask(here, org, limit=3, cursor=cursor)
        seen += [row.device_id for row in page.items]
        await here.stored(await here.hosted(org, f"new{len(seen)}", {"n": 1}))
        if (cursor := page.next_cursor) is None:
            break
    assert sorted(seen) == [f"d{number}" for number in range(10)]


async def test_nobody_sees_another_organizations_devices(here: World) -> None:
    org, other = organization(), organization()
    await here.hosted(other, "d", {"n": 1})
    await here.stored(await here.hosted(other, "e", {"n": 1}))
    page = await ask(here, other, limit=1)
    with pytest.raises(Refused, match=r"cursor\.invalid"):
        await ask(here, org, cursor=page.next_cursor)
    with pytest.raises(Refused, match="not_found"):
        await ask(here, org, device_id=["d"])


@pytest.mark.parametrize(
    "cursor", ["garbage", "", cursors.encode("devices", "org_x", 1), cursors.encode("latest", "org_x", 1, 2)]
)
async def test_a_cursor_that_is_none_is_refused(here: World, cursor: str) -> None:
    with pytest.raises(Refused, match=r"cursor\.invalid"):
        await ask(here, "org_x", cursor=cursor)
