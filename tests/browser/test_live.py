"""Live messages: as they come, as bytes, by topic; held, filtered, and never more than a page can bear."""

from __future__ import annotations

import base64
import json

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import PHONE
from tests.support.browser import Visitor
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser

CBOR = bytes.fromhex("a2617419015961684101")  # {"t": 345, "h": h'01'}


def ingest(tenant: Tenant, payload: object, topic: str = "devices/d1/telemetry") -> None:
    said = {"payload_base64": base64.b64encode(payload).decode()} if isinstance(payload, bytes) else {}
    tenant.post("/ingest", {"topic": topic, **(said or {"payload": payload})}, expect=202)


def flood(tenant: Tenant, count: int, topic: str = "devices/d{}/telemetry") -> None:
    lines = [json.dumps({"topic": topic.format(n % 20), "payload": {"n": n}}) for n in range(count)]
    sent = tenant.http.post(
        "/v1/ingest", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )
    assert sent.status_code == 202, sent.text


def opened(visitor: Visitor, address: str = "/live") -> Visitor:
    """The page, when its stream has begun."""
    visitor.open(address, "Live messages")
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("Live", timeout=30_000)
    expect(visitor.page.locator("h1").get_by_text("Live", exact=True)).to_be_visible()
    return visitor


def line(visitor: Visitor, text: str) -> Locator:
    return visitor.page.get_by_role("listitem").filter(has_text=text)


def test_a_quiet_organization_is_told_what_to_do(member: Visitor) -> None:
    opened(member)
    expect(member.page.get_by_role("heading", name="No messages yet")).to_be_visible()
    expect(member.page.get_by_role("link", name="Create a credential")).to_be_visible()


def test_a_message_appears_as_it_comes_and_shows_the_same_bytes_in_four_ways(
    member: Visitor, tenant: Tenant
) -> None:
    opened(member)
    ingest(tenant, {"temperature": 21.5})
    ingest(tenant, CBOR, "devices/d2/telemetry")
    line(member, "devices/d1/telemetry").get_by_role("button").click()
    drawer = member.page.get_by_role("dialog", name="Message")
    payload = drawer.get_by_role("region")
    expect(payload).to_have_text('{\n  "temperature": 21.5\n}', use_inner_text=True)
    drawer.get_by_text("Hex", exact=True).click()
    expect(payload).to_contain_text("000000  7b 22 74 65 6d 70")
    drawer.get_by_text("CBOR", exact=True).click()
    expect(drawer.get_by_text("This is no CBOR")).to_be_visible()
    member.assert_accessible()
    member.page.keyboard.press("Escape")
    line(member, "devices/d2/telemetry").get_by_role("button").click()
    expect(payload).to_have_text('{"t": 345, "h": h\'01\'}')


def test_messages_of_before_are_there_and_none_is_missing_behind_them(
    member: Visitor, tenant: Tenant
) -> None:
    ingest(tenant, {"n": "before"})
    opened(member)
    ingest(tenant, {"n": "after"})
    expect(line(member, "after")).to_have_count(1)
    expect(line(member, "before")).to_have_count(1)


def test_a_paused_list_stands_and_says_how_many_came(member: Visitor, tenant: Tenant) -> None:
    opened(member)
    ingest(tenant, {"n": "first"})
    expect(line(member, "first")).to_be_visible()
    member.page.get_by_role("button", name="Pause").click()
    flood(tenant, 7)
    expect(member.page.get_by_text("7 while paused")).to_be_visible()
    expect(member.page.get_by_role("listitem").filter(has_text="devices/")).to_have_count(1)
    member.page.get_by_role("button", name="Resume").click()
    expect(member.page.get_by_text("7 not listed")).to_be_visible()
    ingest(tenant, {"n": "next"})
    expect(line(member, "next")).to_be_visible()
    member.page.get_by_role("button", name="Clear").click()
    expect(line(member, "next")).to_have_count(0)


def test_a_flood_is_counted_whole_and_listed_to_a_limit(member: Visitor, tenant: Tenant) -> None:
    opened(member)
    flood(tenant, 1000)
    expect(member.page.get_by_text("1,000 came")).to_be_visible()
    member.page.get_by_role("listitem").get_by_role("button").first.focus()
    for _ in range(2):
        flood(tenant, 1000, "devices/later{}/telemetry")
    expect(member.page.get_by_text("3,000 came")).to_be_visible()
    expect(member.page.get_by_role("listitem").first).to_contain_text("devices/later")
    expect(member.page.get_by_role("group", name="Messages")).to_be_focused()  # and not another message
    expect(member.page.get_by_text("not listed")).to_be_visible()
    assert member.page.get_by_role("listitem").count() < 80, "only what is in sight is in the document"


def test_filters_narrow_and_are_in_the_address(member: Visitor, tenant: Tenant) -> None:
    opened(member, "/live?topic=devices/%2B/status")
    ingest(tenant, {"n": 1})
    ingest(tenant, "online", "devices/d1/status")
    expect(line(member, "devices/d1/status")).to_be_visible()
    expect(line(member, "devices/d1/telemetry")).to_have_count(0)
    member.page.get_by_label("Topic filter").fill("devices/#/x")
    expect(member.page.get_by_role("alert")).to_contain_text("request.invalid")
    assert "topic=devices" in member.page.url


def test_topics_have_counts_and_last_values(visit: Visit, tenant: Tenant) -> None:
    for options in ({}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}):
        with visit(**options) as visitor:
            visitor.sign_in(tenant.key)
            opened(visitor, "/live?tab=topics")
            for n in range(3):
                ingest(tenant, {"n": n})
            ingest(tenant, "online", "devices/d2/status")
            row = visitor.page.get_by_role("listitem").filter(has_text="d1/telemetry")
            expect(row).to_contain_text('3{"n":2}' if not options else "6")
            visitor.assert_accessible()
            visitor.assert_fits()
            visitor.page.get_by_role("button", name="Only devices/d2/status").click()
            expect(visitor.page.get_by_label("Topic filter")).to_have_value("devices/d2/status")
