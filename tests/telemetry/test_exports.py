"""Exports: every reading once, in order, however many pages; files that other programs read as they are meant."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json

from contracts import envelope, exports, failures, subjects
from contracts.activity import ActivityRecorded
from contracts.envelope import Cause
from contracts.exports import ExportActivity, ExportPage, ExportReadings
from contracts.failures import Refused
from contracts.telemetry import LIST_TELEMETRY, ListActivity, ListTelemetry
from services.telemetry.queries.cursors import mark
from tests.telemetry.world import World, organization

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


async def page(here: World, query: ExportReadings | ExportActivity) -> tuple[ExportPage, bytes]:
    call: Any = exports.EXPORT_READINGS if isinstance(query, ExportReadings) else exports.EXPORT_ACTIVITY
    reply = await here.gateway.request(call.subject, query.model_dump_json().encode(), timeout=20)
    head, _, lines = reply.data.partition(b"\n")
    body = from_json(head)
    if "failure" in body:
        raise failures.from_dict(body["failure"])
    return ExportPage.model_validate(body["ok"]), lines


async def whole(here: World, query: Any, rows: int | None = None) -> tuple[bytes, int]:
    """All lines, and of how many pages. `rows`: of each page."""
    found, pages = b"", 0
    while True:
        answer, lines = await page(here, query)
        if answer.position is None:
            return found + lines, pages
        found, pages = found + lines, pages + 1
        query = query.model_copy(update={"position": answer.position, "rows": rows or answer.rows})


def rows_of(lines: bytes) -> list[Any]:
    return [json.loads(line) for line in lines.splitlines()]


def asked(org: str, **wishes: Any) -> ExportReadings:
    return ExportReadings(**{"organization": org, "format": "ndjson", "first": True, **wishes})


async def sent(here: World, org: str, count: int, *, device: str = "d1", first: int = 0) -> None:
    """One message a minute, with two readings each; returns when they are stored."""
    last = 0
    for number in range(first, first + count):
        at = START + timedelta(minutes=number)
        last = await here.hosted(org, device, {"ts": at.isoformat(), "n": number, "half": number / 2})
    await here.stored(last)


@pytest.fixture
async def org(here: World) -> str:
    made = organization()
    await sent(here, made, 7)
    return made


@pytest.mark.parametrize("shape", ["long", "wide"])
@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
async def test_pages_of_any_size_give_every_reading_once_and_in_order(
    here: World, org: str, shape: str, rows: int
) -> None:
    lines, pages = await whole(here, asked(org, shape=shape, rows=rows), rows)
    found = rows_of(lines)
    if shape == "long":
        assert [(row["metric"], row["value"]) for row in found] == [
            pair for n in range(7) for pair in (("n", n), ("half", n / 2))
        ]
    else:
        assert [row["metrics"] for row in found] == [{"n": n, "half": n / 2} for n in range(7)]
    assert len({row["cursor"] for row in found}) == len(found)
    assert pages >= 7 / rows


async def test_the_wide_form_is_what_the_list_shows(here: World, org: str) -> None:
    lines, _ = await whole(here, asked(org, shape="wide"))
    listed = (await here.ask(LIST_TELEMETRY, ListTelemetry(organization=org))).items
    found = rows_of(lines)
    for row, item in zip(reversed(found), listed, strict=True):
        assert datetime.fromisoformat(row["timestamp"]) == item.timestamp
        for name in ("device_id", "metrics", "units", "topic", "integration_id", "time_replaced", "sequence"):
            assert row[name] == getattr(item, name), name


@pytest.mark.parametrize("shape", ["long", "wide"])
async def test_an_export_goes_on_behind_any_line(here: World, org: str, shape: str) -> None:
    lines, _ = await whole(here, asked(org, shape=shape))
    everything = lines.splitlines()
    for at, line in enumerate(everything):
        rest, _ = await whole(here, asked(org, shape=shape, position=json.loads(line)["cursor"]))
        assert rest.splitlines() == everything[at + 1 :]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"metric": ["n"]}, [("d1", "n", 0), ("d1", "n", 1), ("d1", "n", 2), ("d2", "n", 3)]),
        ({"metric": ["half", "nothing"], "device_id": ["d2"]}, [("d2", "half", 1.5)]),
        ({"metric": ["nothing"]}, []),
        ({"device_id": ["d1", "d2"], "metric": ["n"], "from_": START + timedelta(minutes=2)},
         [("d1", "n", 2), ("d2", "n", 3)]),
        ({"to": START + timedelta(minutes=1), "metric": ["n"]}, [("d1", "n", 0)]),
        ({"integration_id": ["hosted"], "device_id": ["d2"], "metric": ["n"]}, [("d2", "n", 3)]),
        ({"integration_id": ["int_other"]}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 1000])
async def test_filters_leave_out_whatever_the_size_of_a_page(
    here: World, filters: dict[str, Any], expected: list[Any], rows: int
) -> None:
    org = organization()
    await sent(here, org, 3)
    await sent(here, org, 1, device="d2", first=3)
    lines, _ = await whole(here, asked(org, rows=rows, **filters), rows)
    assert [(row["device_id"], row["metric"], row["value"]) for row in rows_of(lines)] == expected


NASTY: dict[str, Any] = {
    "formula": '=HYPERLINK("http://evil")',
    "plus": "+1",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "tab": "\t=1",
    "line": 'two\r\nlines, and a "quote"',
    "empty": "",
    "negative": -5,
    "truth": True,
    "exact": 2**60 + 1,
    "small": 1e-300,
    '=name,"with"': 1,
    "umlaut": "grün 🌱",
}  # fmt: skip


async def nasty(here: World) -> str:
    org = organization()
    body = {"ts": START.isoformat(), **NASTY}
    await here.stored(await here.hosted(org, "d1", body))
    return org


async def test_ndjson_keeps_every_value_as_it_was_sent(here: World) -> None:
    lines, _ = await whole(here, asked(await nasty(here)))
    assert {row["metric"]: row["value"] for row in rows_of(lines)} == NASTY


async def test_csv_is_read_by_others_and_holds_no_formula(here: World) -> None:
    lines, _ = await whole(here, asked(await nasty(here), format="csv"))
    assert lines.endswith(b"\r\n")
    read = list(csv.reader(io.StringIO(lines.decode(), newline=""), strict=True))
    assert {len(row) for row in read} == {len(exports.READING_COLUMNS)}
    values = {row[2]: row[3] for row in read}
    assert values == {
        "formula": '\'=HYPERLINK("http://evil")',
        "plus": "'+1",
        "minus": "'-2+3",
        "at": "'@SUM(A1)",
        "tab": "'\t=1",
        "line": NASTY["line"],
        "empty": "",
        "negative": "-5",
        "truth": "true",
        "exact": str(2**60 + 1),
        "small": "1e-300",
        '\'=name,"with"': "1",
        "umlaut": NASTY["umlaut"],
    }


async def test_wide_csv_has_a_column_for_each_metric_in_their_order(here: World) -> None:
    org = await nasty(here)
    await here.stored(await here.hosted(org, "d2", {"ts": (START + timedelta(1)).isoformat(), "at": 4}))
    names = ("at", "nothing", "line", "truth")
    lines, _ = await whole(here, asked(org, format="csv", shape="wide", metric=names))
    read = list(csv.reader(io.StringIO(lines.decode(), newline=""), strict=True))
    assert [row[6:-1] for row in read] == [["'@SUM(A1)", "", NASTY["line"], "true"], ["4", "", "", ""]]


async def test_a_sample_with_many_readings_is_cut_between_pages(here: World) -> None:
    org = organization()
    many = {f"m{n}": n for n in range(150)}
    await here.stored(await here.hosted(org, "d1", {"ts": START.isoformat(), **many}))
    lines, _ = await whole(here, asked(org))
    everything = rows_of(lines)
    assert {row["metric"]: row["value"] for row in everything} == many
    for at in (0, 62, 63, 64, 127, 149):
        rest, _ = await whole(here, asked(org, position=everything[at]["cursor"]))
        assert rows_of(rest) == everything[at + 1 :]


async def test_an_export_is_stable_while_others_write(here: World, org: str) -> None:
    before = {row["cursor"] for row in rows_of((await whole(here, asked(org)))[0])}
    writing = asyncio.create_task(sent(here, org, 40, first=7))
    lines, _ = await whole(here, asked(org, rows=1), 1)
    await writing
    found = [row["cursor"] for row in rows_of(lines)]
    assert len(found) == len(set(found))
    assert before <= set(found)
    times = [row["timestamp"] for row in rows_of(lines)]
    assert times == sorted(times)


async def test_what_another_organization_has_is_neither_shown_nor_told_of(here: World, org: str) -> None:
    lines, _ = await whole(here, asked(org))
    cursor = rows_of(lines)[0]["cursor"]
    other = organization()
    await sent(here, other, 2, device="mine")
    with pytest.raises(Refused) as refused:
        await page(here, asked(other, position=cursor))
    assert refused.value.code == "cursor.invalid"
    own, _ = await whole(here, asked(other))
    assert {row["device_id"] for row in rows_of(own)} == {"mine"}
    for device in ("d1", "unheard"):
        with pytest.raises(Refused) as refused:
            await page(here, asked(other, device_id=[device]))
        assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "1.2.3", "1.2.3.4", "1.2.3.4.5.6", "1.2.3.4.-5", "1.2.3.4.ZZ", "1.2.ffffffff.4.5",
     "7fffffffffffffff.1.1.1.1", "1.ffffffffffffffff.1.1.1", "1.1.1.1.1'--", "WyJ0ZWxlbWV0cnkiXQ"],
)  # fmt: skip
async def test_a_forged_cursor_is_refused(here: World, org: str, cursor: str) -> None:
    for forged in (cursor, f"{mark(org)}.{cursor}"):
        with pytest.raises(Refused) as refused:
            await page(here, asked(org, position=forged))
        assert refused.value.code == "cursor.invalid"


async def test_a_cursor_of_the_other_shape_is_refused(here: World, org: str) -> None:
    wide = rows_of((await whole(here, asked(org, shape="wide")))[0])[0]["cursor"]
    with pytest.raises(Refused) as refused:
        await page(here, asked(org, position=wide))
    assert refused.value.code == "cursor.invalid"


async def test_activity_is_exported_with_the_filters_of_its_list(here: World) -> None:
    org = organization()
    events = [
        ActivityRecorded(kind="link.down", status="failed", summary="=cmd|' /C calc'!A0", details={"n": 1}),
        ActivityRecorded(kind="link.up", status="ok", summary='said "hello", twice'),
        ActivityRecorded(kind="link.down", status="failed", summary="third", duration_ms=1.5),
    ]
    for number, event in enumerate(events):
        headers, data = envelope.encode(
            event, id=f"{org}{number}", time=START + timedelta(0, number), cause=Cause("key:k", "test")
        )
        last = await here.write(subjects.activity(org, event.kind), headers, data)
    await here.stored(last, "activity")
    wanted = ListActivity(organization=org)
    for rows in (1, 1000):
        lines, _ = await whole(here, ExportActivity(format="ndjson", wanted=wanted, rows=rows), rows)
        found = rows_of(lines)
        assert [row["summary"] for row in found] == [event.summary for event in events]
        assert found[0]["details"] == {"n": 1}
        assert found[2]["duration_ms"] == 1.5
        assert tuple(found[0]) == exports.ACTIVITY_COLUMNS
    rest, _ = await whole(here, ExportActivity(format="ndjson", wanted=wanted, position=found[0]["cursor"]))
    assert rows_of(rest) == found[1:]
    failed = wanted.model_copy(update={"kind": ("link.down",)})
    lines, _ = await whole(here, ExportActivity(format="csv", wanted=failed))
    read = list(csv.reader(io.StringIO(lines.decode(), newline=""), strict=True))
    assert [row[3] for row in read] == ["'=cmd|' /C calc'!A0", "third"]
    assert json.loads(read[0][9]) == {"n": 1}
    other = ListActivity(organization=organization())
    assert await whole(here, ExportActivity(format="csv", wanted=other)) == (b"", 0)
