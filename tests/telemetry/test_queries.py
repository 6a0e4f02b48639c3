"""What the lists show, filter by, and page through."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.activity import ActivityRecorded
from contracts.decoders import get
from contracts.envelope import Cause, encode
from contracts.failures import Refused
from contracts.subjects import activity
from contracts.telemetry import (
    GET_DEVICE,
    LIST_ACTIVITY,
    LIST_DEVICES,
    LIST_MESSAGES,
    LIST_TELEMETRY,
    GetDevice,
    ListActivity,
    ListDevices,
    ListMessages,
    ListTelemetry,
    TelemetryRow,
    Value,
)
from services.telemetry.queries import cursors
from tests.telemetry.world import World, organization

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
STANDARD = {"timestamp": "2026-03-01T10:00:00Z"}


async def test_a_reading_is_listed_as_it_was_sent(here: World) -> None:
    org = organization()
    values: dict[str, Value] = {
        "t": 21.5,
        "n": 27,
        "on": True,
        "state": "open",
        "big": 2**53 + 1,
        "zero": -0.5,
    }
    sequence = await here.hosted(org, "d.1", {**STANDARD, "metrics": values})
    await here.stored(sequence)
    (row,) = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    assert row == TelemetryRow(
        device_id="d.1",
        timestamp=T0,
        metrics=values,
        topic=f"{org}/devices/d.1/telemetry",
        integration_id="hosted",
        sequence=sequence,
    )
    assert {name: type(value) for name, value in row.metrics.items()} == {
        name: type(value) for name, value in values.items()
    }


async def test_provenance_is_shown_where_it_is_asked_for(here: World) -> None:
    org = organization()
    sequence = await here.hosted(org, "d", [{"t": 1}, {"t": 2, "ts": "soon"}])
    await here.stored(sequence)
    rows = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org, provenance=True))).items
    newest, oldest = (row.provenance for row in rows)
    assert newest is not None
    assert oldest is not None
    assert (oldest.sequence, oldest.position, oldest.flags) == (sequence, 0, ())
    assert (newest.sequence, newest.position, newest.flags) == (sequence, 1, ("time_unparsable",))
    assert newest.epoch >= 1
    standard = get("standard")
    assert (newest.decoder, newest.version, newest.settings_hash) == ("standard", standard.version, "")


async def test_a_unit_is_kept(here: World) -> None:
    org = organization()
    await here.stored(
        await here.hosted(org, "d", {"type": "temperature", "value": 21.5, "units": "°C"}, "sensor")
    )
    (row,) = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    assert (row.metrics, row.units) == ({"temperature": 21.5}, {"temperature": "°C"})
    latest = (await here.ask(GET_DEVICE, GetDevice(organization=org, id="d"))).latest
    assert latest["temperature"].unit == "°C"


async def test_a_time_in_the_future_is_replaced_and_said_so(here: World) -> None:
    org = organization()
    await here.stored(await here.hosted(org, "d", {"t": 1, "ts": "2031-01-01T00:00:00Z"}))
    (row,) = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    assert row.time_replaced
    assert abs(row.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2024-02-29T23:59:59.999999Z"]
)
async def test_a_time_long_past_is_kept(here: World, moment: str) -> None:
    org = organization()
    await here.stored(await here.hosted(org, "d", {"t": 1, "ts": moment}))
    (row,) = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    assert row.timestamp == datetime.fromisoformat(moment)


async def test_each_filter_of_telemetry(here: World) -> None:
    org = organization()
    await here.hosted(org, "a", {"t": 1, "ts": "2026-03-01T10:00:00Z"})
    await here.hosted(org, "b", {"t": 2, "h": 3, "ts": "2026-03-01T11:00:00Z"})
    await here.stored(
        await here.bridged(org, "http", "devices/c/data", {"h": 4, "ts": "2026-03-01T12:00:00Z"})
    )

    async def found(**filters: object) -> list[dict[str, Value]]:
        page = await here.ask(LIST_TELEMETRY, ListTelemetry.model_validate({"organization": org, **filters}))
        return [row.metrics for row in page.items]

    assert await found() == [{"h": 4}, {"t": 2, "h": 3}, {"t": 1}]
    assert await found(device_id=["b"]) == [{"t": 2, "h": 3}]
    assert await found(device_id=["b", "a"]) == [{"t": 2, "h": 3}, {"t": 1}]
    assert await found(device_id=["b"], metric=["nothing"]) == []
    with pytest.raises(Refused, match="not_found"):
        await found(device_id=["b", "nobody"])
    assert await found(metric=["h"]) == [{"h": 4}, {"h": 3}]
    assert await found(metric=["h", "t"], to=T0 + timedelta(hours=2)) == [{"t": 2, "h": 3}, {"t": 1}]
    assert await found(metric=["nothing"]) == []
    assert await found(integration_id=["http"]) == [{"h": 4}]
    assert await found(integration_id=["http", "hosted"], limit=2) == [{"h": 4}, {"t": 2, "h": 3}]
    assert await found(from_=T0 + timedelta(hours=1)) == [{"h": 4}, {"t": 2, "h": 3}]
    assert await found(to=T0 + timedelta(hours=1)) == [{"t": 1}]
    assert await found(device_id=["b"], metric=["t"], from_=T0, to=T0 + timedelta(hours=2)) == [{"t": 2}]


async def test_pages_hold_everything_once_though_messages_come_in(here: World) -> None:
    org = organization()
    for number in range(25):  # all of one time: order and cursor rest on the sequence
        last = await here.hosted(org, "d", [{"n": number, **STANDARD}, {"n": number + 0.5, **STANDARD}])
    await here.stored(last)
    seen: list[object] = []
    cursor = None
    while True:
        page = await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org, limit=7, cursor=cursor))
        seen += [row.metrics["n"] for row in page.items]
        await here.stored(await here.hosted(org, "d", {"n": -1, "ts": "2026-03-02T10:00:00Z"}))
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [number / 2 for number in range(49, -1, -1)]


@pytest.mark.parametrize(
    "cursor", ["garbage", "", "e30", "WyJ0ZWxlbWV0cnkiXQ", "ÿ", cursors.encode("devices", "org_x", 1)]
)
async def test_a_cursor_that_is_none_is_refused(here: World, cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        await here.ask(LIST_TELEMETRY, ListTelemetry(organization="org_x", cursor=cursor))
    assert refused.value.code == "cursor.invalid"


async def test_raw_messages_with_payload_filters_and_pages(here: World) -> None:
    org = organization()
    start = datetime.now(UTC)
    await here.hosted(org, "a", b"\xff\xfe", "status-of-mine", qos=2)
    await here.hosted(org, "b", b"{nope")
    await here.stored(
        await here.bridged(org, "int_unknown0", "devices/c/data", {"h": 4}, retain=True, at=start)
    )

    async def found(**filters: object) -> list[str]:
        page = await here.ask(LIST_MESSAGES, ListMessages.model_validate({"organization": org, **filters}))
        return [row.payload for row in page.items]

    page = await here.ask(LIST_MESSAGES, ListMessages(organization=org, limit=2))
    assert [(row.device_id, row.payload, row.encoding, row.failure) for row in page.items] == [
        ("b", "{nope", "utf-8", "payload.not_json"),
        ("a", "//4=", "base64", None),
    ]
    assert (page.items[1].qos, page.items[1].topic) == (2, f"{org}/devices/a/status-of-mine")
    rest = await here.ask(LIST_MESSAGES, ListMessages(organization=org, cursor=page.next_cursor))
    assert [(row.device_id, row.retain, row.integration_id) for row in rest.items] == [
        ("c", True, "int_unknown0")
    ]
    assert rest.next_cursor is None
    assert await found(device_id="b") == ["{nope"]
    assert await found(integration_id="hosted") == ["{nope", "//4="]
    assert await found(to=start) == []
    assert len(await found(from_=start)) == 3


async def test_devices_with_presence_and_latest_values(here: World) -> None:
    org = organization()
    await here.hosted(org, "d1", {"t": 1, "h": 5, "ts": "2026-03-01T10:00:00Z"})
    await here.hosted(org, "d1", {"t": 3, "ts": "2026-03-01T12:00:00Z"})
    await here.hosted(org, "d1", {"t": 2, "ts": "2026-03-01T11:00:00Z"})  # late: not the newest
    await here.hosted(org, "d1", {"status": "online", "ts": "2026-03-01T09:00:00Z"}, "status")
    await here.hosted(org, "d1", {"status": "online", "ts": "2026-03-01T09:30:00Z"}, "status")
    await here.hosted(org, "d2", b"x", "lwt")
    await here.stored(await here.hosted(org, "d3", {"flag": False}))
    page = await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=2))
    rest = await here.ask(LIST_DEVICES, ListDevices(organization=org, limit=2, cursor=page.next_cursor))
    assert sorted((row.id, row.online) for row in [*page.items, *rest.items]) == [
        ("d1", True),
        ("d2", False),
        ("d3", None),
    ]
    device = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    assert device.online_since == T0 - timedelta(hours=1)
    assert device.first_seen is not None
    assert device.last_seen is not None
    assert device.first_seen < device.last_seen
    assert {name: (held.value, held.timestamp.hour) for name, held in device.latest.items()} == {
        "t": (3, 12),
        "h": (5, 10),
    }
    other = await here.ask(GET_DEVICE, GetDevice(organization=org, id="d3"))
    assert other.latest["flag"].value is False


@pytest.mark.parametrize("id", ["nobody", "d1", "nul\0"])
async def test_an_unknown_device_and_one_of_another_organization_are_not_found(here: World, id: str) -> None:
    await here.stored(await here.hosted(organization(), "d1", {"t": 1}))
    with pytest.raises(Refused) as refused:
        await here.ask(GET_DEVICE, GetDevice(organization=organization(), id=id))
    assert refused.value.code == ("request.invalid" if "\0" in id else "not_found")


async def test_activity_by_kind_status_and_time(here: World) -> None:
    org = organization()
    events = [
        ActivityRecorded(
            kind="device.connected", subject="credential:cred_1", details={"client": "c", "bytes": 7}
        ),
        ActivityRecorded(
            kind="link.down",
            status="failed",
            summary="gone",
            subject="integration:int_1",
            reason="link.down",
            duration_ms=1.5,
        ),
    ]
    for number, event in enumerate(events):
        headers, data = encode(
            event, id=f"{org}-{number}", time=T0 + timedelta(hours=number), cause=Cause("admin", "ingest")
        )
        sequence = await here.write(activity(org, event.kind), headers, data)
    await here.stored(sequence, "activity")

    async def found(**filters: object) -> list[str]:
        page = await here.ask(LIST_ACTIVITY, ListActivity.model_validate({"organization": org, **filters}))
        return [row.kind for row in page.items]

    page = await here.ask(LIST_ACTIVITY, ListActivity(organization=org, limit=1))
    assert page.items[0].model_dump(exclude={"id", "time"}) == {
        "kind": "link.down",
        "status": "failed",
        "summary": "gone",
        "actor": "admin",
        "subject": "integration:int_1",
        "device_id": None,
        "reason": "link.down",
        "duration_ms": 1.5,
        "details": {},
        "direction": "out",
        "trace_id": None,
    }
    rest = await here.ask(LIST_ACTIVITY, ListActivity(organization=org, cursor=page.next_cursor))
    assert [row.details for row in rest.items] == [{"client": "c", "bytes": 7}]
    assert await found(kind=("device.connected",)) == ["device.connected"]
    assert await found(status="failed") == ["link.down"]
    assert await found(integration_id="int_1") == ["link.down"]
    assert await found(integration_id="int_2") == []
    assert await found(from_=T0 + timedelta(hours=1)) == ["link.down"]
    assert await found(to=T0 + timedelta(hours=1)) == ["device.connected"]


async def test_nobody_sees_another_organizations_rows(here: World) -> None:
    org, other = organization(), organization()
    await here.hosted(org, "d1", {"t": 1})
    await here.stored(await here.hosted(other, "d1", {"t": 2}))
    rows = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org, device_id=("d1",)))).items
    assert [row.metrics for row in rows] == [{"t": 1}]
    assert (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=organization()))).items == []
