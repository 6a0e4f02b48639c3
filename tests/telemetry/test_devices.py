"""Devices as people call, tag, hide and look for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from contracts.devices import DeviceDescribed
from contracts.failures import Refused
from contracts.telemetry import GET_DEVICE, LIST_DEVICES, DeviceRow, GetDevice, ListDevices
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from services.telemetry.database import plain_url
from tests.telemetry.describing import said
from tests.telemetry.world import World, organization


async def sent(here: World, org: str, devices: Iterable[str]) -> None:
    """One after the other, so that they are heard of in this order."""
    for device in devices:
        await here.stored(await here.hosted(org, device, {"t": 1}))


async def found(here: World, org: str, **query: Any) -> list[str]:
    """Ids, over all pages of three."""
    ids: list[str] = []
    cursor = None
    while True:
        asked = ListDevices(organization=org, limit=3, cursor=cursor, **query)
        page = await here.ask(LIST_DEVICES, asked)
        ids += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


async def row(here: World, org: str, id: str) -> DeviceRow:
    return next(
        each
        for each in (await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=1000))).items
        if each.id == id
    )


async def test_a_device_bears_what_people_say_of_it(here: World, own_nats: NatsServer) -> None:
    org, other = organization(), organization()
    await sent(here, org, ["d1", "d1"])
    await sent(here, other, ["d1"])
    words = DeviceDescribed(
        device_id="d1", name="Boiler", tags=("a", "b"), metadata={"n": [1, {"ü": None}]}, hidden=True
    )
    await said(here, own_nats, org, words)
    shown = await row(here, org, "d1")
    assert (shown.name, shown.tags, shown.metadata) == ("Boiler", ("a", "b"), {"n": [1, {"ü": None}]})
    assert (shown.hidden, shown.messages) == (True, 2)
    detail = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    assert (detail.name, detail.hidden, detail.latest["t"].value) == ("Boiler", True, 1)
    nothing = await row(here, other, "d1")
    assert (nothing.name, nothing.tags, nothing.metadata, nothing.hidden) == (None, (), {}, False)
    await said(here, own_nats, org, DeviceDescribed(device_id="d1", tags=("b",)))
    shown = await row(here, org, "d1")
    assert (shown.name, shown.tags, shown.metadata, shown.hidden) == (None, ("b",), {}, False)
    assert await found(here, org, tag=("a",)) == []
    assert await found(here, org, q="Boiler") == []


async def test_a_device_may_be_described_before_it_sends(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await said(here, own_nats, org, DeviceDescribed(device_id="new/1 *", tags=("spare",)))
    shown = await row(here, org, "new/1 *")
    assert (shown.first_seen, shown.last_seen, shown.messages, shown.online) == (None, None, 0, None)
    assert (await here.ask(GET_DEVICE, GetDevice(organization=org, id="new/1 *"))).latest == {}
    assert await found(here, org, tag=("spare",), sort="last_seen") == ["new/1 *"]
    with pytest.raises(Refused) as error:
        await here.ask(GET_DEVICE, GetDevice(organization=org, id="never"))
    assert error.value.code == "not_found"


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("pump", {"Pump-Berlin042", "pump_2"}),
        ("PUMP-b", {"Pump-Berlin042"}),
        ("berlin", {"Pump-Berlin042"}),
        ("42", {"Pump-Berlin042"}),
        ("042", {"Pump-Berlin042"}),
        ("2", {"pump_2", "70B3D57ED0041F2A"}),
        ("valve", {"mainValve", "x"}),
        ("41f2", {"70B3D57ED0041F2A"}),
        ("Groß", {"x"}),
        ("GROSSES", set()),
        ("haus valve", {"x"}),
        ("valve haus nothing", set()),
        ("lin", set()),
        ("%", set()),
        ("_", set()),
        ("ump", set()),
        ("", {"Pump-Berlin042", "pump_2", "mainValve", "70B3D57ED0041F2A", "x"}),
        ("\U0010ffff", set()),
    ],
    ids=lambda value: ascii(sorted(value) if isinstance(value, set) else value),
)
async def test_search_finds_the_beginnings_of_words(
    here: World, own_nats: NatsServer, q: str, expected: set[str]
) -> None:
    org = "org_searched00000000"
    if not (await here.ask(LIST_DEVICES, ListDevices(organization=org))).items:
        await sent(here, org, ["Pump-Berlin042", "pump_2", "mainValve", "70B3D57ED0041F2A", "x"])
        await said(here, own_nats, org, DeviceDescribed(device_id="x", name="Großes Haus: Valve"))
    assert set(await found(here, org, q=q)) == expected


async def test_filters_narrow_what_is_listed(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await sent(here, org, ["d1", "d2", "d3", "d4"])
    await here.stored(await here.bridged(org, "int_x", "devices/d4/telemetry", {"t": 1}))
    await here.stored(await here.hosted(org, "d2", {"status": "online"}, "status"))
    await here.stored(await here.hosted(org, "d3", {"status": "offline"}, "status"))
    await said(
        here,
        own_nats,
        org,
        DeviceDescribed(device_id="d1", tags=("a", "b")),
        DeviceDescribed(device_id="d2", tags=("b",), hidden=True),
    )
    last = (await row(here, org, "d1")).last_seen
    for query, expected in (
        ({"tag": ("b",)}, ["d2", "d1"]),
        ({"tag": ("a", "b")}, ["d1"]),
        ({"tag": ("c",)}, []),
        ({"hidden": True}, ["d2"]),
        ({"hidden": False}, ["d4", "d3", "d1"]),
        ({"online": True}, ["d2"]),
        ({"online": False}, ["d3"]),
        ({"integration_id": "int_x"}, ["d4"]),
        ({"integration_id": "hosted"}, ["d4", "d3", "d2", "d1"]),
        ({"integration_id": "int_y"}, []),
        ({"seen_to": last}, []),
        ({"seen_from": last, "tag": ("a",)}, ["d1"]),
        ({"q": "d", "tag": ("b",), "online": True, "hidden": True}, ["d2"]),
    ):
        assert await found(here, org, **query) == expected, query
    assert await found(here, organization(), tag=("b",)) == []


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-first_seen", ["c", "d", "b", "a"]),
        ("first_seen", ["a", "b", "d", "c"]),
        ("id", ["a", "b", "c", "d"]),
        ("-id", ["d", "c", "b", "a"]),
        ("name", ["b", "c", "d", "a"]),
        ("-name", ["a", "d", "c", "b"]),
        ("last_seen", ["b", "d", "c", "a"]),
        ("-last_seen", ["a", "c", "d", "b"]),
        ("-messages", ["a", "c", "d", "b"]),
        ("messages", ["b", "d", "c", "a"]),
    ],
)
async def test_every_order_is_whole_over_its_pages(
    here: World, own_nats: NatsServer, sort: Any, expected: list[str]
) -> None:
    org = "org_sorted0000000000"
    if not (await here.ask(LIST_DEVICES, ListDevices(organization=org))).items:
        await sent(here, org, ["a", "b", "d", "c", "c", "a", "a"])
        await said(here, own_nats, org, DeviceDescribed(device_id="a", name="z"))
    assert await found(here, org, sort=sort) == expected


async def test_pages_stay_where_they_are_while_devices_come(here: World) -> None:
    org = organization()
    await sent(here, org, [f"d{number}" for number in range(6)])
    first = await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=2))
    by_time = await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=2, sort="-last_seen"))
    await sent(here, org, ["d6", "d5"])
    rest = await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=9, cursor=first.next_cursor))
    assert [each.id for each in (*first.items, *rest.items)] == ["d5", "d4", "d3", "d2", "d1", "d0"]
    asked = ListDevices(organization=org, limit=9, sort="-last_seen", cursor=by_time.next_cursor)
    assert [each.id for each in (await here.ask(LIST_DEVICES, asked)).items] == ["d3", "d2", "d1", "d0"]
    for wrong in (ListDevices(organization=org, sort="id", cursor=first.next_cursor), asked):
        if wrong is asked:
            wrong = asked.model_copy(update={"sort": "-messages"})
        with pytest.raises(Refused) as error:
            await here.ask(LIST_DEVICES, wrong)
        assert error.value.code == "cursor.invalid"


async def test_search_and_filters_look_into_indexes_under_row_security(
    here: World, database: DatabaseUrls
) -> None:
    org = organization()
    await sent(here, org, ["d"])
    await here.database.execute(
        "INSERT INTO devices (organization, name, first_seen, tags) SELECT o.id, 'sensor-' || n, now(), "
        "ARRAY['t' || n % 100] FROM organizations o, generate_series(1, 3000) n WHERE o.name = $1",
        org,
    )
    query = await asyncpg.connect(plain_url(database.query))
    try:
        async with query.transaction():
            await query.execute("SELECT set_config('hybridmq.organization', $1, true)", org)
            for statement in (
                "SELECT device FROM device_words WHERE word >= lower('77') AND word < lower('77') || '\U0010ffff'",
                "SELECT device FROM device_tags WHERE tag = 't7'",
                "SELECT device FROM device_sources WHERE source = 'hosted'",
            ):
                plan = "\n".join(r[0] for r in await query.fetch("EXPLAIN (COSTS off) " + statement))
                condition = next(line for line in plan.splitlines() if "Index Cond" in line)
                assert any(name in condition for name in ("word", "tag", "source")), plan
    finally:
        await query.close()
    assert len(await found(here, org, q="77")) == 11
    assert await found(here, org, tag=("t7",), q="sensor-7") == ["sensor-707", "sensor-7"]


async def test_two_organizations_at_once_see_their_own(here: World, own_nats: NatsServer) -> None:
    orgs = [organization() for _ in range(2)]
    for org in orgs:
        await said(here, own_nats, org, DeviceDescribed(device_id="same", name=org, tags=(org,)))
    both = await asyncio.gather(*(found(here, org, tag=(org,)) for org in orgs))
    assert both == [["same"], ["same"]]
    assert await found(here, orgs[0], tag=(orgs[1],)) == []
    assert await found(here, orgs[0], q=orgs[1]) == []
