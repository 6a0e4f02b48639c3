"""Metrics as devices send them: units and kinds learnt, conflicts noticed, nobody else's seen."""

from datetime import UTC, datetime
from typing import Any

from contracts import subjects
from contracts.envelope import Cause
from contracts.metrics import MetricCleared, MetricDescribed, metric_id
from contracts.telemetry import (
    GET_DEVICE,
    LIST_METRICS,
    LIST_TELEMETRY,
    GetDevice,
    ListMetrics,
    ListTelemetry,
    MetricRow,
)
from deploy.local.nats import NatsServer
from runtime.event_log import Append, EventLog
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import World, organization


async def sent(here: World, org: str, *messages: tuple[str, Any]) -> None:
    sequences = [await here.hosted(org, device, payload, "sensor") for device, payload in messages]
    await here.stored(max(sequences))


async def listed(here: World, org: str, **query: Any) -> dict[str, MetricRow]:
    page = await here.ask(LIST_METRICS, ListMetrics(organization=org, **query))
    return {row.name: row for row in page.items}


async def test_units_and_kinds_are_learnt_from_what_is_sent(here: World) -> None:
    org = organization()
    temperature = {"type": "temperature", "value": 21.5, "unit": "°C"}
    await sent(here, org, ("d1", temperature), ("d1", {"on": True, "state": "open", "big": 2**60}))
    found = await listed(here, org)
    assert {name: (row.kind, row.unit, row.conflict) for name, row in found.items()} == {
        "temperature": ("number", "°C", False),
        "on": ("boolean", None, False),
        "state": ("text", None, False),
        "big": ("number", None, False),
    }


async def test_two_units_or_kinds_under_one_name_are_a_conflict(here: World) -> None:
    org = organization()
    await sent(
        here,
        org,
        ("d1", {"type": "temperature", "value": 21.5, "unit": "°C"}),
        ("d2", {"type": "temperature", "value": 70, "unit": "°F"}),
        ("d3", {"temperature": 21}),
        ("d1", {"door": True}),
        ("d2", {"door": "open"}),
    )
    found = await listed(here, org)
    assert {use.unit for use in found["temperature"].uses} == {"°C", "°F", None}
    assert found["temperature"].conflict
    assert {use.kind for use in found["door"].uses} == {"boolean", "text"}
    assert found["door"].conflict


async def test_a_metric_with_and_without_its_unit_is_no_conflict(here: World) -> None:
    org = organization()
    await sent(here, org, ("d1", {"type": "p", "value": 1, "unit": "bar"}), ("d2", {"p": 1}))
    row = (await listed(here, org, name="p"))["p"]
    assert (row.unit, row.conflict, len(row.uses)) == ("bar", False, 2)


async def test_metrics_are_listed_in_pages_and_of_one_organization_only(here: World) -> None:
    org, other = organization(), organization()
    await sent(here, org, ("d", {f"m{number}": 1 for number in range(5)}))
    await sent(here, other, ("d", {"secret": 1}))
    names, cursor = [], None
    for _ in range(3):
        page = await here.ask(LIST_METRICS, ListMetrics(organization=org, limit=2, cursor=cursor))
        names += [row.name for row in page.items]
        cursor = page.next_cursor
    assert (sorted(names), cursor) == ([f"m{number}" for number in range(5)], None)
    assert list(await listed(here, other)) == ["secret"]


async def said(server: NatsServer, org: str, *events: MetricDescribed | MetricCleared) -> None:
    async with platform_client(server, "credentials") as client:
        log = EventLog(client, "REGISTRY")
        for event in events:
            subject = subjects.registry(org, "metric", metric_id(org, event.name))
            before = await log.read(subject)
            append = Append(subject, event, before[-1].sequence if before else 0)
            await log.append([append], cause=Cause("key:k", "credentials"), now=datetime.now(UTC))


async def test_what_people_say_stands_before_what_is_learnt_until_it_is_taken_back(
    here: World, own_nats: NatsServer
) -> None:
    org, other = organization(), organization()
    for each in (org, other):
        await sent(here, each, ("d", {"t": 21.5, "p": 2}), ("d", {"type": "t", "value": 70, "unit": "°F"}))
    words = MetricDescribed(name="t", unit="°C", label="Flow", description="Behind the valve", kind="number")
    await said(own_nats, org, words, MetricDescribed(name="p", label="Pressure"))

    async def described() -> dict[str, MetricRow]:
        found = await listed(here, org)
        return found if sum(row.described for row in found.values()) == 2 else {}

    found = await eventually(described)
    row = found["t"]
    assert (row.unit, row.label, row.description, row.kind) == ("°C", "Flow", "Behind the valve", "number")
    assert {use.unit for use in row.uses} == {None, "°F"}
    assert (found["p"].unit, found["p"].label, found["p"].kind) == (None, "Pressure", "number")

    async def units(of: str) -> list[dict[str, str]]:
        page = await here.ask(LIST_TELEMETRY, ListTelemetry(organization=of))
        return [reading.units for reading in page.items]

    assert await units(org) == [{"t": "°F"}, {"t": "°C"}], "what the device says itself stays"
    assert await units(other) == [{"t": "°F"}, {}]
    assert not any(row.described for row in (await listed(here, other)).values())
    await sent(here, org, ("d2", {"t": 1}))
    latest = (await here.ask(GET_DEVICE, GetDevice(organization=org, id="d2"))).latest
    assert latest["t"].unit == "°C"

    await said(own_nats, org, MetricCleared(name="t"))

    async def taken_back() -> bool:
        return (await listed(here, org))["t"].unit == "°F"

    await eventually(taken_back)
    assert await units(org) == [{}, {"t": "°F"}, {}]


async def test_metrics_that_nobody_sent_yet_come_last_each_once(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await sent(here, org, ("d", {f"m{number}": 1 for number in range(4)}))
    waiting = [MetricDescribed(name=f"w{number}", kind="text") for number in range(3)]
    await said(own_nats, org, *waiting, MetricDescribed(name="m1", unit="V"))

    async def all_of() -> bool:
        return len(await listed(here, org)) == 7

    await eventually(all_of)
    for limit in (1, 2, 3, 4, 5, 100):
        names, cursor = [], None
        while True:
            page = await here.ask(LIST_METRICS, ListMetrics(organization=org, limit=limit, cursor=cursor))
            assert len(page.items) <= limit
            names += [row.name for row in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(names[:4]) == ["m0", "m1", "m2", "m3"], limit
        assert sorted(names[4:]) == ["w0", "w1", "w2"], limit
    row = (await listed(here, org, name="w1"))["w1"]
    assert (row.kind, row.uses, row.described) == ("text", (), True)
