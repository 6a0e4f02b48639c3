"""Statistics: what was counted is what was stored, through kills and rebuilds, and only for its own organization."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import subjects
from contracts.activity import ActivityRecorded
from contracts.devices import DeviceForgotten
from contracts.envelope import Cause, encode
from contracts.failures import Refused
from contracts.organizations import PLATFORM
from contracts.rebuild import GET_REBUILD, START_REBUILD, GetRebuild, StartRebuild
from contracts.stats import GET_STATS, GetStats, Stats, StatsPage
from deploy.local.nats import NatsServer
from tests.support.eventually import eventually
from tests.support.service import Service
from tests.telemetry.describing import write
from tests.telemetry.world import World, organization

NOW = datetime.now(UTC)
HOUR = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
TABLES = ("message_minutes", "message_hours", "activity_minutes", "activity_hours")


async def stats(here: World, org: str, **wishes: Any) -> StatsPage:
    query = {"organization": org, "from_": HOUR, "to": HOUR + timedelta(hours=2), **wishes}
    return await here.ask(GET_STATS, GetStats.model_validate(query))


async def one(here: World, org: str, **wishes: Any) -> Stats:
    [item] = (await stats(here, org, **wishes)).items
    return item


async def said(here: World, org: str, at: datetime, kind: str, **fields: Any) -> None:
    event = ActivityRecorded(kind=kind, **fields)
    headers, data = encode(event, id=f"{org}{kind}{at}", time=at, cause=Cause("admin", "test"))
    await here.stored(await here.write(subjects.activity(org, kind), headers, data), "activity")


@pytest.fixture
async def org(here: World) -> str:
    """Two integrations, three devices, one dead letter, over 70 minutes."""
    made = organization()
    for source, device, minute, payload in (
        ("int_a", "d1", 0, {"t": 1, "h": 2}),
        ("int_a", "d1", 1, {"t": 1}),
        ("int_a", "d2", 1, {"t": 1}),
        ("int_b", "d3", 1, {"t": 1}),
        ("int_b", "d3", 70, b"{nope"),
    ):
        at = HOUR + timedelta(minutes=minute, seconds=30)
        topic = f"devices/{device}/telemetry"
        last = await here.bridged(made, source, topic, payload, at=at)
    await here.stored(last)
    return made


async def test_messages_bytes_readings_and_dead_letters_by_time(here: World, org: str) -> None:
    page = await stats(here, org, interval="1m")
    assert len(page.timestamps) == 120
    [item] = page.items
    values = {name: held for name, held in item.values.items() if any(held)}
    assert set(values) == {"messages", "bytes", "readings", "dead_letters"}
    assert [values["messages"][at] for at in (0, 1, 2, 70)] == [1, 3, 0, 1]
    assert [values["readings"][at] for at in (0, 1, 70)] == [2, 3, 0]
    assert [values["dead_letters"][at] for at in (1, 70)] == [0, 1]
    assert item.totals["bytes"] == len('{"t": 1, "h": 2}') + 3 * len('{"t": 1}') + len("{nope")
    hours = await one(here, org, interval="1h")
    assert hours.values["messages"] == [4, 1]
    assert hours.totals == item.totals
    day = await stats(here, org, interval="1d", from_=HOUR - timedelta(days=2))
    assert day.items[0].totals == item.totals


async def test_by_integration_and_by_device(here: World, org: str) -> None:
    page = await stats(here, org, by="integration", interval="30m")
    assert {item.id: item.values["messages"] for item in page.items} == {
        "int_a": [3, 0, 0, 0],
        "int_b": [1, 0, 1, 0],
    }
    page = await stats(here, org, by="device", counter=["messages", "readings"])
    assert {item.id: item.values for item in page.items} == {
        "d1": {"messages": [2, 0], "readings": [3, 0]},
        "d2": {"messages": [1, 0], "readings": [1, 0]},
        "d3": {"messages": [1, 1], "readings": [1, 0]},
    }
    assert (await one(here, org, device_id=["d1", "d3"])).values["messages"] == [3, 1]
    assert (await one(here, org, integration_id=["int_b"])).totals["messages"] == 2
    assert [item.id for item in (await stats(here, org, by="device", device_id=["d2"])).items] == ["d2"]
    assert (await stats(here, org, by="integration", integration_id=["int_none"])).items == []
    assert (await one(here, org, integration_id=["int_none"])).totals["messages"] == 0


async def test_pages_have_the_same_times_and_each_device_once(here: World, org: str) -> None:
    found: list[str | None] = []
    page = await stats(here, org, by="device", limit=1)
    times = page.timestamps
    while True:
        found += [item.id for item in page.items]
        if page.next_cursor is None:
            break
        page = await here.ask(
            GET_STATS, GetStats(organization=org, by="device", limit=1, cursor=page.next_cursor)
        )
        assert page.timestamps == times
    assert found == ["d1", "d2", "d3"]


async def test_connects_refusals_errors_and_links(here: World) -> None:
    org = organization()
    credential = {"subject": "credential:cred_1", "device_id": "d1"}
    await said(here, org, HOUR, "device.connected", **credential)
    ended = {"messages_in": 7, "bytes_in": 70, "messages_out": 1}
    await said(here, org, HOUR + timedelta(minutes=5), "device.disconnected", details=ended, **credential)
    refused = {"subject": "credential:cred_1", "status": "refused", "reason": "connect.unknown"}
    await said(here, org, HOUR, "device.refused", **refused)
    await said(here, org, HOUR + timedelta(minutes=61), "device.refused", details={"left_out": 40}, **refused)
    link = {"subject": "integration:int_a"}
    await said(here, org, HOUR, "link.up", **link)
    await said(here, org, HOUR + timedelta(minutes=2), "link.down", status="failed", **link)
    await said(here, org, HOUR + timedelta(minutes=70), "link.degraded", status="failed", **link)
    await said(here, org, HOUR, "organization.renamed")

    def shown(item: Stats) -> dict[str, list[int]]:
        return {name: held for name, held in item.values.items() if any(held)}

    assert shown(await one(here, org)) == {
        "errors": [1, 1],
        "connects": [1, 0],
        "disconnects": [1, 0],
        "refusals": [1, 40],
        "links_up": [1, 0],
        "links_down": [1, 0],
        "links_degraded": [0, 1],
    }
    by_integration = {item.id: shown(item) for item in (await stats(here, org, by="integration")).items}
    assert by_integration["hosted"] == {"connects": [1, 0], "disconnects": [1, 0], "refusals": [1, 40]}
    assert set(by_integration["int_a"]) == {"errors", "links_up", "links_down", "links_degraded"}
    assert shown(await one(here, org, credential_id=["cred_1"])) == {
        "messages": [7, 0],
        "bytes": [70, 0],
        "connects": [1, 0],
        "disconnects": [1, 0],
        "refusals": [1, 40],
    }
    assert [item.id for item in (await stats(here, org, by="credential")).items] == ["cred_1"]
    minutes = await one(here, org, interval="1m", counter=["links_down"])
    assert minutes.values["links_down"][2] == 1


async def test_another_organization_sees_and_learns_nothing(here: World, org: str) -> None:
    other = organization()
    await here.stored(await here.bridged(other, "int_x", "devices/mine/telemetry", {"t": 1}, at=HOUR))
    assert (await one(here, other)).totals["messages"] == 1
    assert [item.id for item in (await stats(here, other, by="device")).items] == ["mine"]
    assert (await one(here, other, integration_id=["int_a"])).totals["messages"] == 0
    cursor = (await stats(here, org, by="device", limit=1)).next_cursor
    with pytest.raises(Refused, match=r"cursor\.invalid"):
        await here.ask(GET_STATS, GetStats(organization=other, by="device", cursor=cursor))
    for device in ("d1", "unheard"):
        with pytest.raises(Refused) as refused:
            await stats(here, other, device_id=[device])
        assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    ("wishes", "field", "smallest"),
    [
        ({"interval": "90s"}, "interval", "1m"),
        ({"interval": "15m", "by": "device"}, "interval", "1h"),
        ({"interval": "90m", "by": "credential"}, "interval", "1h"),
        ({"interval": "15m", "from_": NOW - timedelta(days=20), "to": NOW - timedelta(days=19)}, "interval", "1h"),
        ({"interval": "1m", "from_": NOW - timedelta(days=13)}, "interval", "2m"),
        ({"interval": "2m", "from_": NOW - timedelta(days=13)}, "interval", None),
        ({"interval": "soon"}, "interval", None),
        ({"by": "device", "integration_id": ["int_a"]}, "by", None),
        ({"credential_id": ["c"], "device_id": ["d"]}, "by", None),
        ({"from_": NOW, "to": NOW - timedelta(1)}, "from", None),
    ],
)  # fmt: skip
async def test_what_is_not_counted_is_refused_with_what_is(
    here: World, wishes: dict[str, Any], field: str, smallest: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        await stats(here, organization(), **wishes)
    assert (refused.value.code, refused.value.field) == ("request.invalid", field)
    if smallest is not None:
        assert refused.value.extra["smallest_interval"] == smallest


@pytest.mark.parametrize("cursor", ["x", "WyJzdGF0cyJd", "WyJkZXZpY2VzIiwxLDIsMyJd"])
async def test_a_forged_cursor_is_refused(here: World, cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        await stats(here, organization(), by="device", cursor=cursor)
    assert refused.value.code == "cursor.invalid"


async def test_through_kills_every_message_counts_once(here: World, telemetry: Service) -> None:
    org = organization()
    last = 0
    for _ in range(2):
        last = await here.fill(org, 1000, devices=50, bad_every=100)
        telemetry.process.kill()
        telemetry.start()
    await here.stored(last, timeout_s=60)
    messages, distinct, samples = await here.counts(org)
    assert messages == distinct
    item = await one(here, org, from_=NOW - timedelta(hours=1), to=NOW + timedelta(hours=1))
    assert item.totals["messages"] == messages
    assert item.totals["readings"] == 2 * samples
    assert item.totals["dead_letters"] == messages - samples > 0
    devices = [
        each
        for page in [
            await stats(here, org, by="device", from_=NOW - timedelta(hours=1), to=NOW + timedelta(hours=1))
        ]
        for each in page.items
    ]
    assert sum(each.totals["readings"] for each in devices) == item.totals["readings"]
    bytes_stored = await here.database.fetchval(
        "SELECT sum(octet_length(payload)) FROM messages WHERE organization ="
        " (SELECT id FROM organizations WHERE name = $1)",
        org,
    )
    assert item.totals["bytes"] == bytes_stored


async def test_a_rebuild_counts_the_same(here: World, org: str) -> None:
    await said(here, org, HOUR, "link.up", subject="integration:int_a")

    async def held() -> list[Any]:
        return [
            [tuple(row) for row in await here.database.fetch(f"SELECT * FROM {table} ORDER BY 2, 3, name, 1")]
            for table in TABLES
        ]

    before = await held()
    assert all(before)
    marked = await here.database.fetchval("SELECT 'message_hours'::regclass::oid")
    await here.ask(START_REBUILD, StartRebuild(organization=PLATFORM, actor="admin"))

    async def done() -> bool:
        found = (await here.ask(GET_REBUILD, GetRebuild(organization=PLATFORM, actor="admin"))).rebuild
        assert found is not None
        assert found.state != "failed"
        return found.finished_at is not None

    await eventually(done, timeout_s=60)
    assert await here.database.fetchval("SELECT 'message_hours'::regclass::oid") != marked
    assert await held() == before
    await here.stored(await here.bridged(org, "int_a", "devices/d1/telemetry", {"t": 1}, at=HOUR))
    assert (await one(here, org)).totals["messages"] == 6


async def test_a_forgotten_device_takes_its_counters_with_it(
    here: World, own_nats: NatsServer, org: str
) -> None:
    """After the rebuild: that would leave out its messages of the others' counters, too."""
    await said(here, org, HOUR, "device.connected", subject="credential:cred_1", device_id="d1")
    await write(own_nats, org, DeviceForgotten(device_id="d1", erasure="erase_0123456789abcdef"))

    async def gone() -> bool:
        shown = await stats(here, org, by="device")
        return {item.id for item in shown.items} == {"d2", "d3"}

    await eventually(gone, timeout_s=60)
    item = await one(here, org)
    assert (item.totals["messages"], item.totals["connects"]) == (5, 1)
    assert not await here.database.fetchval(
        "SELECT count(*) FROM activity_hours WHERE scope = 2 AND name = 'd1'"
        " AND organization = (SELECT id FROM organizations WHERE name = $1)",
        org,
    )
