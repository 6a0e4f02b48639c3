"""Devices: found among many, and each with its values, its numbers over time, its messages and commands."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import PHONE
from tests.browser.test_live import ingest
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


def send(tenant: Tenant, lines: list[dict[str, object]]) -> None:
    body = "\n".join(json.dumps(line) for line in lines)
    sent = tenant.http.post("/v1/ingest", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert sent.status_code == 202, sent.text


def boiler(tenant: Tenant) -> None:
    """An hour of boiler-7, with a pause of ten minutes in it; returns when it can be asked for."""
    now = datetime.now(UTC)
    times = [now - timedelta(seconds=30 * n) for n in range(118) if not 40 <= n < 60]
    send(
        tenant,
        [
            {
                "topic": "devices/boiler-7/telemetry",
                "payload": {"ts": at.isoformat(), "temperature": 20 + n % 5, "pressure": 3, "state": "on"},
            }
            for n, at in enumerate(times)
        ],
    )
    eventually_now(lambda: tenant.http.get("/v1/devices/boiler-7").status_code == 200)


def test_who_has_no_devices_is_told_what_to_do(member: Visitor) -> None:
    member.open("/devices", "Devices")
    expect(member.page.get_by_role("heading", name="No devices yet")).to_be_visible()
    member.page.get_by_role("link", name="Create a credential").click()
    member.see("Credentials")


def test_a_device_is_found_by_search_presence_and_tag(member: Visitor, tenant: Tenant) -> None:
    for device, word in (("boiler-7", "online"), ("pump-1", "offline")):
        ingest(tenant, word, f"devices/{device}/status")
    named = tenant.http.patch("/v1/devices/boiler-7", json={"name": "Hall heating", "tags": ["hall 7"]})
    assert named.status_code == 200, named.text
    eventually_now(lambda: {row["name"] for row in tenant.get("/devices")["items"]} == {"Hall heating", None})
    member.open("/devices", "Devices")
    page = member.page
    boiler, pump = page.get_by_role("link", name="Hall heating"), page.get_by_role("link", name="pump-1")
    expect(pump).to_be_visible()
    page.get_by_label("Search devices").fill("heat")
    expect(pump).to_have_count(0)
    expect(boiler).to_be_visible()
    assert "q=heat" in page.url
    page.get_by_label("Search devices").fill("nothing")
    page.get_by_role("button", name="Show all devices").click()
    expect(pump).to_be_visible()
    page.get_by_role("button", name="hall 7").click()
    expect(pump).to_have_count(0)
    page.get_by_role("button", name="Without the tag hall 7").click()
    page.get_by_label("Presence").first.click()
    page.get_by_role("option", name="Offline").click()
    expect(boiler).to_have_count(0)
    expect(pump).to_be_visible()
    ingest(tenant, "online", "devices/pump-1/status")
    expect(page.get_by_role("listitem").filter(has_text="pump-1")).to_contain_text("Online")


def test_of_many_devices_only_those_in_sight_are_in_the_document(member: Visitor, tenant: Tenant) -> None:
    many = 1200
    for first in (0, 600):
        send(
            tenant,
            [{"topic": f"devices/d{n:04}/telemetry", "payload": {"n": n}} for n in range(first, first + 600)],
        )
    eventually_now(lambda: tenant.http.get(f"/v1/devices/d{many - 1:04}").status_code == 200)
    member.open("/devices?sort=name", "Devices")
    expect(member.page.get_by_role("link", name="d0000")).to_be_visible()
    last = member.page.get_by_role("link", name=f"d{many - 1:04}")
    scroller = member.page.get_by_role("list", name="Devices").locator("..")

    def at_the_end() -> bool:
        scroller.evaluate("box => { box.scrollTop = box.scrollHeight }")
        return last.is_visible()

    eventually_now(at_the_end, every_s=0.1)
    expect(member.page.get_by_text("1,200", exact=True)).to_be_visible()
    assert member.page.get_by_role("listitem").count() < 80


def test_a_devices_values_move_and_its_charts_can_be_looked_at_closer(
    member: Visitor, tenant: Tenant, tmp_path: Path
) -> None:
    boiler(tenant)
    member.open("/devices/boiler-7", "boiler-7")
    page = member.page
    latest = page.get_by_role("region", name="Latest values")
    expect(latest).to_contain_text("state")
    ingest(tenant, {"temperature": 77.5}, "devices/boiler-7/telemetry")
    expect(latest).to_contain_text("77.5")
    chart = page.get_by_role("img", name="temperature over time")
    expect(chart).to_be_visible()
    member.assert_accessible()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Up to now")).to_be_visible()
    assert "from=" in page.url
    assert "to=" in page.url
    page.reload()
    expect(page.get_by_role("button", name="Up to now")).to_be_visible()
    page.get_by_role("button", name="Up to now").click()
    page.get_by_text("Table", exact=True).click()
    table = page.get_by_role("region", name="Averages over time")
    expect(table.get_by_role("columnheader", name="temperature")).to_be_visible()
    average = r"77\.5|48\.75"  # where the boiler's last reading, 20, is in the same half minute
    expect(table).to_contain_text(re.compile(average))
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="CSV").click()
    downloaded.value.save_as(tmp_path / "boiler.csv")
    head, *lines = (tmp_path / "boiler.csv").read_text().splitlines()
    assert head == 'timestamp,"pressure","temperature"'
    assert any(re.search(f",({average})$", line) for line in lines)
    assert any(line.endswith(",,") for line in lines), "a gap is an empty cell"


def test_a_command_is_sent_and_its_state_is_seen(member: Visitor, tenant: Tenant) -> None:
    boiler(tenant)
    member.open("/devices/boiler-7?tab=commands", "boiler-7")
    page = member.page
    expect(page.get_by_role("heading", name="No commands yet")).to_be_visible()
    page.get_by_label("Name").fill("not a name/")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Name").fill("restart")
    page.get_by_label("Payload").fill('{"after_s": 5}')
    page.get_by_role("button", name="Send").click()
    row = page.get_by_role("listitem").filter(has_text="/restart/")
    expect(row).to_contain_text('{"after_s": 5}')
    expect(row).to_contain_text("delivered")
    page.get_by_role("tab", name="Messages").click()
    expect(page.get_by_role("listitem").filter(has_text="temperature").first).to_be_visible()


def test_an_unknown_device_says_so(member: Visitor) -> None:
    member.open("/devices/nobody")
    expect(member.page.get_by_role("alert")).to_contain_text("not_found")


def test_a_devices_page_is_accessible_and_fits_a_phone(visit: Visit, tenant: Tenant) -> None:
    boiler(tenant)
    with visit(viewport=PHONE, has_touch=True, is_mobile=True) as visitor:
        visitor.sign_in(tenant.key)
        for tab in ("readings", "messages", "commands"):
            visitor.open(f"/devices/boiler-7?tab={tab}", "boiler-7")
            expect(visitor.page.get_by_role("status", name="Loading")).to_have_count(0)
            visitor.assert_accessible()
            visitor.assert_fits()
