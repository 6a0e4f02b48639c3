"""Series are what a plain computation over the same readings gives."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from contracts.failures import Refused
from contracts.series import Aggregate
from services.telemetry.queries import cursors
from tests.telemetry.plain_series import ALL, T0, Point, ask, assert_alike, computed, send
from tests.telemetry.world import World, organization

ORG = "org_x"


@pytest.mark.parametrize("interval", ["7s", "1m", "PT15M", "1h"])
async def test_every_aggregate_is_that_of_a_plain_computation(here: World, interval: str) -> None:
    org, dice = organization(), random.Random(interval)
    held: dict[tuple[str, str], list[Point]] = {}
    for device in ("a", "b"):
        sent = []
        for _ in range(300):  # out of order, several at the same time, kinds mixed
            at = T0 + timedelta(seconds=dice.choice((0, 0.5, 59.999999, dice.randrange(3600))))
            values: dict[str, Any] = {}
            if dice.random() < 0.9:
                values["t"] = dice.choice((dice.uniform(-50, 50), dice.randrange(100)))
            if dice.random() < 0.5:
                values["mixed"] = dice.choice((True, False, "open", 2**53 + 1, 7, -0.25))
            if values:
                sent.append((at, values))
        for at, values in sent:
            for name, value in values.items():
                held.setdefault((device, name), []).append((at, value))
        last = await send(here, org, device, sent)
    await here.stored(last)
    for names in ({}, {"metric": ["t"], "device_id": ["a"]}, {"metric": ["mixed"]}):
        page = await ask(here, org, interval=interval, aggregate=ALL, limit=1000, **names)
        series = list(page.items)
        while page.next_cursor is not None:
            page = await ask(here, org, interval=interval, aggregate=ALL, cursor=page.next_cursor, **names)
            series += page.items
        wanted = [
            key
            for key in sorted(held)
            if key[0] in names.get("device_id", key[0]) and key[1] in names.get("metric", [key[1]])
        ]
        assert sorted((each.device_id, each.metric) for each in series) == wanted
        edges = [*page.timestamps, T0 + timedelta(hours=1)]
        for each in series:
            points = held[each.device_id, each.metric]
            for aggregate in ALL:
                expected = [
                    computed([point for point in points if start <= point[0] < end], aggregate)
                    for start, end in pairwise(edges)
                ]
                assert_alike(each.values[aggregate], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2**53 + 1, 2**53 + 3], {"sum": 2**54 + 4, "min": 2**53 + 1, "max": 2**53 + 3, "avg": 2**53 + 2}),
        ([2**53 + 1, 1], {"sum": 2**53 + 2, "min": 1, "max": 2**53 + 1, "last": 1}),
        ([2**53 - 1, 2**53 - 1, 2**53 - 1], {"sum": 3 * (2**53 - 1), "avg": 2**53 - 1}),
        ([2**62, 1, -(2**62)], {"sum": 1, "min": -(2**62), "max": 2**62, "first": 2**62}),
        ([1e308, 1e308], {"sum": 2 * 10**308, "avg": 1e308}),
        ([0.1, 0.2], {"count": 2, "min": 0.1}),
    ],
)
async def test_large_numbers_are_exact(
    here: World, values: list[Any], expected: dict[Aggregate, Any]
) -> None:
    org = organization()
    await here.stored(await send(here, org, "d", [(T0, {"n": value}) for value in values]))
    (series,) = (await ask(here, org, interval="1h", aggregate=tuple(expected))).items
    assert {name: held[0] for name, held in series.values.items()} == expected


async def test_gaps_are_gaps_or_filled(here: World) -> None:
    org = organization()
    minutes = {5: 10, 25: 40, 45: 20}
    sent = [
        (T0 + timedelta(minutes=at), {"n": value, "s": "on" if value > 20 else "off"})
        for at, value in minutes.items()
    ]
    await here.stored(await send(here, org, "d", sent))

    async def found(fill: str) -> dict[str, Any]:
        page = await ask(here, org, aggregate=["last", "count"], fill=fill, to=T0 + timedelta(hours=1))
        assert page.timestamps == [T0 + timedelta(minutes=10 * n) for n in range(6)]
        return {each.metric: each.values for each in page.items}

    plain = await found("none")
    assert plain["n"] == {"last": [10, None, 40, None, 20, None], "count": [1, 0, 1, 0, 1, 0]}
    assert plain["s"]["last"] == ["off", None, "on", None, "off", None]
    assert (await found("previous"))["n"]["last"] == [10, 10, 40, 40, 20, 20]
    assert (await found("previous"))["s"]["last"] == ["off", "off", "on", "on", "off", "off"]
    assert (await found("linear"))["n"]["last"] == [10, 25, 40, 30, 20, None]
    assert (await found("linear"))["s"] == plain["s"]


async def test_days_and_months_are_those_of_the_time_zone(here: World) -> None:
    """Berlin's clocks went forward on 2026-03-29: that day has 23 hours."""
    org = organization()
    start = datetime(2026, 3, 27, 23, tzinfo=UTC)  # midnight of the 28th
    await here.stored(
        await send(here, org, "d", [(start + timedelta(hours=n), {"n": 1}) for n in range(24 + 23 + 24)])
    )
    times = {"from_": start, "to": start + timedelta(hours=71), "time_zone": "Europe/Berlin"}
    days = await ask(here, org, interval="1d", aggregate=["count"], **times)
    assert days.items[0].values["count"] == [24, 23, 24]
    assert days.timestamps == [start, start + timedelta(hours=24), start + timedelta(hours=47)]
    months = await ask(here, org, interval="P1M", aggregate=["sum"], **times)
    assert months.timestamps == [datetime(2026, 2, 28, 23, tzinfo=UTC)]
    assert months.items[0].values["sum"] == [71]
    utc = await ask(here, org, interval="P1D", aggregate=["count"], **{**times, "time_zone": "UTC"})
    assert utc.items[0].values["count"] == [1, 24, 24, 22]


async def test_an_integration_is_asked_for(here: World) -> None:
    org = organization()
    await here.hosted(org, "d", {"n": 1, "ts": T0.isoformat()})
    await here.stored(
        await here.bridged(org, "int_other000", "devices/d/data", {"n": 5, "ts": T0.isoformat()})
    )
    for source, expected in ((["hosted"], 1), (["int_other000"], 5), (["hosted", "int_other000"], 6)):
        page = await ask(here, org, integration_id=source, aggregate=["sum", "last"], interval="1h")
        assert page.items[0].values["sum"] == [expected]
        assert page.items[0].values["last"] == [5 if "int_other000" in source else 1]


async def test_pages_hold_every_series_once_though_messages_come_in(here: World) -> None:
    org = organization()
    for device in range(9):
        last = await here.hosted(org, f"d{device}", {"t": device, "h": 1, "ts": T0.isoformat()})
    await here.stored(last)
    seen: list[tuple[str, str]] = []
    ends, cursor = set(), None
    held: dict[str, Any] = {"to": None, "from_": T0, "interval": "1d", "aggregate": ["last"], "limit": 4}
    while True:
        page = await ask(here, org, **held, cursor=cursor)
        seen += [(each.device_id, each.metric) for each in page.items]
        ends.add((page.timestamps[0], page.end))
        await here.stored(await here.hosted(org, f"new{len(seen)}", {"t": 1, "ts": T0.isoformat()}))
        if (cursor := page.next_cursor) is None or len(seen) > 50:
            break
    assert len(ends) == 1  # though it is until now
    assert len(seen) == len(set(seen))
    assert {(f"d{n}", name) for n in range(9) for name in ("t", "h")} <= set(seen)


async def test_unknown_metrics_are_empty_and_unknown_devices_are_not_found(here: World) -> None:
    org = organization()
    await here.stored(await here.hosted(org, "d", {"t": 1, "ts": T0.isoformat()}))
    assert (await ask(here, org, metric=["nothing"])).items == []
    assert (await ask(here, org, device_id=["d"], metric=["nothing"])).items == []
    for stranger, devices in ((org, ["d", "nobody"]), (organization(), ["d"])):
        with pytest.raises(Refused, match="not_found"):
            await ask(here, stranger, device_id=devices)
    assert (await ask(here, organization())).items == []


async def test_over_ten_thousand_buckets_are_refused_with_the_smallest_interval(here: World) -> None:
    org = organization()
    for to, interval, zone in (
        (T0 + timedelta(days=1), "1s", "UTC"),
        (T0 + timedelta(days=4000), "PT1M", "UTC"),
        (T0 + timedelta(days=30_001), "1d", "Europe/Berlin"),
    ):
        held = {"from_": T0 + timedelta(seconds=0.5), "to": to, "time_zone": zone}
        with pytest.raises(Refused) as refused:
            await ask(here, org, interval=interval, **held)
        assert (refused.value.code, refused.value.field) == ("request.invalid", "interval")
        smallest = refused.value.extra["smallest_interval"]
        assert len((await ask(here, org, interval=smallest, **held)).timestamps) <= 10_000
        less = f"{int(smallest[:-1]) - 1}{smallest[-1]}"
        with pytest.raises(Refused):
            await ask(here, org, interval=less, **held)


@pytest.mark.parametrize(
    "query",
    [
        {"interval": interval}
        for interval in ("", "0s", "-1m", "1", "m", "1.5h", "P", "PT", "P1DT1H", "P1", "9999999999s", "1١m")
    ]
    + [{"from_": T0, "to": T0}, {"from_": T0 + timedelta(1), "to": T0}]
    + [{"time_zone": name} for name in ("Mars/Olympus", "../etc/passwd", "America", "")]
    + [{"from_": datetime(1, 1, 1, tzinfo=UTC), "interval": "100d"}],
)
async def test_what_cannot_be_computed_is_refused(here: World, query: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        await ask(here, organization(), **query)
    assert refused.value.code == "request.invalid"


@pytest.mark.parametrize(
    "cursor",
    [
        "garbage",
        cursors.encode("series", "org_another", T0, T0 + timedelta(1), 0, 0),
        cursors.encode("telemetry", ORG, 1, 1, 1, 1),
        cursors.encode("series", ORG, T0, T0, 1, 1),
        cursors.encode("series", ORG, T0, T0 + timedelta(1), -1, 1),
        cursors.encode("series", ORG, T0, T0 + timedelta(1), 2**40, 1),
    ],
)
async def test_a_cursor_that_is_none_is_refused(here: World, cursor: str) -> None:
    with pytest.raises(Refused, match=r"cursor\.invalid"):
        await ask(here, ORG, cursor=cursor)


async def test_another_organizations_cursor_is_refused(here: World) -> None:
    org, other = organization(), organization()
    for device in ("a", "b"):
        await here.hosted(other, device, {"t": 1, "ts": T0.isoformat()})
    await here.stored(await here.hosted(org, "mine", {"t": 2, "ts": T0.isoformat()}))
    page = await ask(here, other, limit=1)
    assert page.next_cursor is not None
    with pytest.raises(Refused, match=r"cursor\.invalid"):
        await ask(here, org, cursor=page.next_cursor)


async def test_a_cursor_forged_in_anothers_name_shows_nothing_of_it(here: World) -> None:
    org, other = organization(), organization()
    for device in ("a", "b"):
        last = await here.hosted(other, device, {"t": 1, "ts": T0.isoformat()})
    await here.stored(last)
    forged = cursors.encode("series", org, T0, T0 + timedelta(hours=1), 0, 0)
    assert (await ask(here, org, cursor=forged)).items == []


async def test_an_answer_that_is_too_long_goes_over_pages_or_is_refused(here: World) -> None:
    org, text = organization(), "x" * 500
    points = [(T0 + timedelta(seconds=n), {"s": text, "t": text}) for n in range(700)]
    await here.stored(await send(here, org, "d", points))
    held: dict[str, Any] = {"to": T0 + timedelta(seconds=700), "interval": "1s", "aggregate": ["last"]}
    page = await ask(here, org, **held)
    assert len(page.items) == 1
    assert page.next_cursor is not None
    assert (await ask(here, org, **held, cursor=page.next_cursor)).next_cursor is None
    with pytest.raises(Refused, match="do not fit"):
        await ask(here, org, **{**held, "aggregate": ["first", "last"]})
