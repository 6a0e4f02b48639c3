"""Devices: found among many, and each with its values, its numbers over time, its messages and commands."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from playwright.sync_api import expect

from deploy.local.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.test_every_page import PHONE
from tests.browser.test_live import ingest
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

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
    expect(member.page.get_by_text("1,200 devices", exact=True)).to_be_visible()
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


def test_a_command_is_sent_and_its_state_is_seen(stack: Stack, member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("boiler-7")
    client = device.client()

    def answer(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        command = message.topic.rpartition("/")[2]
        client.publish(device.topic(f"devices/boiler-7/responses/{command}"), '{"done": true}', qos=1)

    client.on_message = answer
    connect(client, stack.nats.ports.mqtt)
    client.subscribe(device.topic("commands/boiler-7/restart/#"), qos=1)
    ingest(tenant, {"temperature": 20}, "devices/boiler-7/telemetry")
    eventually_now(lambda: tenant.http.get("/v1/devices/boiler-7").status_code == 200)
    late = {"name": "sleep", "payload": "now", "wait_s": 0.01, "expires_in_s": 1}
    tenant.post("/devices/boiler-7/commands", late)  # nobody answers this one
    member.open("/devices/boiler-7?tab=commands", "boiler-7")
    page = member.page
    page.get_by_label("Name").fill("not a name/")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Payload").fill('{"after_s": 5}')
    page.get_by_text("QoS 2", exact=True).click()
    page.get_by_label("Retain").check()
    page.get_by_role("tab", name="Messages").click()
    page.get_by_role("tab", name="Commands").click()
    expect(page.get_by_label("Payload")).to_have_value('{"after_s": 5}')
    page.get_by_label("Name").fill("restart")
    page.get_by_role("button", name="Send").click()
    row = page.get_by_role("listitem").filter(has_text="/restart/")
    expect(row).to_contain_text("QoS 2, retained")
    expect(row).to_contain_text('{"after_s": 5}')
    expect(row).to_contain_text('The device answered: {"done": true}')
    expect(page.get_by_role("listitem").filter(has_text="/sleep/")).to_contain_text("no answer came in time")
    page.get_by_role("tab", name="Messages").click()
    expect(page.get_by_role("listitem").filter(has_text="temperature").first).to_be_visible()
    disconnect(client)


def test_a_device_is_described_hidden_and_forgotten(member: Visitor, tenant: Tenant) -> None:
    ingest(tenant, {"temperature": 20}, "devices/boiler-7/telemetry")
    eventually_now(lambda: tenant.http.get("/v1/devices/boiler-7").status_code == 200)
    member.open("/devices/boiler-7", "boiler-7")
    page = member.page
    page.get_by_role("button", name="Describe").click()
    dialog = page.get_by_role("dialog", name="Describe this device")
    dialog.get_by_label("Name").fill("Hall heating")
    dialog.get_by_label("Tags").first.fill("Floor  3,")
    dialog.get_by_label("Metadata").fill("[1]")
    expect(dialog.get_by_text("It is no JSON object")).to_be_visible()
    dialog.get_by_label("Metadata").fill('{"serial": "B-1187"}')
    member.assert_accessible()
    dialog.get_by_role("button", name="Save").click()
    member.see("Hall heating")
    expect(page.get_by_text("B-1187", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="floor 3")).to_be_visible()

    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Hide from the list").click()
    expect(page.get_by_text("Hall heating is hidden")).to_be_visible()
    eventually_now(lambda: tenant.get("/devices")["items"] == [])
    member.open("/devices", "Devices")
    expect(page.get_by_role("heading", name="No devices yet")).to_be_visible()
    member.open("/devices?hidden=true", "Devices")
    page.get_by_role("link", name="Hall heating").click()
    member.see("Hall heating")

    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Forget").click()
    dialog = page.get_by_role("dialog", name="Forget this device")
    expect(dialog.get_by_role("button", name="Forget")).to_be_disabled()
    dialog.get_by_label("Type boiler-7 to confirm").fill("boiler-7")
    dialog.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("heading", name="This device was forgotten")).to_be_visible()
    assert tenant.http.get("/v1/devices/boiler-7").status_code == 404


def test_who_may_only_read_is_offered_no_change(visit: Visit, tenant: Tenant) -> None:
    ingest(tenant, {"temperature": 20}, "devices/boiler-7/telemetry")
    eventually_now(lambda: tenant.http.get("/v1/devices/boiler-7").status_code == 200)
    key = tenant.post("/api-keys", {"name": "reader", "scopes": ["read"]})["secret"]
    with visit() as reader:
        reader.enter(key)
        reader.open("/devices/boiler-7?tab=commands", "boiler-7")
        expect(reader.page.get_by_role("heading", name="No commands yet")).to_be_visible()
        for name in ("Describe", "More actions", "Send"):
            expect(reader.page.get_by_role("button", name=name)).to_have_count(0)


def test_a_device_whose_id_has_a_slash_or_a_dot_has_a_page(member: Visitor, tenant: Tenant) -> None:
    for name in ("site/7%.b", "v1.2", ".", ".."):
        ingest(tenant, {"deviceId": name, "temperature": 20}, "plant/readings")
        eventually_now(lambda: name in {each["id"] for each in tenant.get("/devices")["items"]})  # noqa: B023
        member.open("/devices", "Devices")
        member.page.get_by_role("link", name=name, exact=True).click()
        member.see(name)
        member.page.reload()
        member.see(name)
        expect(member.page.get_by_role("region", name="Latest values")).to_contain_text("temperature")


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
