"""Metrics as devices send them: units and kinds learnt, conflicts noticed, nobody else's seen."""

from typing import Any

from contracts.telemetry import LIST_METRICS, ListMetrics, MetricRow
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
