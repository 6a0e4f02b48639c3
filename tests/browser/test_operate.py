"""Pages by which an organization is run: API keys, activity, dead letters, limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


def test_a_key_is_made_shown_once_and_revoked_by_its_name(
    member: Visitor, visit: Visit, tenant: Tenant
) -> None:
    page = member.page
    member.open("/api-keys", "API keys")
    page.get_by_role("button", name="New API key").click()
    page.get_by_label("Name").fill("Dashboard")
    expect(page.get_by_role("checkbox", name="read", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="admin", exact=True)).not_to_be_checked()
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Show", exact=True).click()
    secret = page.get_by_test_id("secret").inner_text()
    assert secret.startswith("hmq_key_")
    page.reload()
    member.see("API keys")
    expect(page.get_by_role("row").filter(has_text="Dashboard")).to_be_visible()
    assert secret not in page.content()
    with visit() as reader:
        reader.sign_in(secret)
        reader.open("/api-keys", "API keys")
        expect(reader.page.get_by_text("It takes a key with the scope admin; yours has read")).to_be_visible()
        page.get_by_role("row").filter(has_text="Dashboard").get_by_role("button", name="Revoke").click()
        confirm = page.get_by_role("dialog").get_by_role("button", name="Revoke")
        expect(confirm).to_be_disabled()
        page.get_by_label("Type Dashboard to confirm").fill("Dashboard")
        confirm.click()
        expect(page.get_by_role("row").filter(has_text="Dashboard").get_by_text("revoked")).to_be_visible()
        reader.open("/activity")
        reader.see("Sign in")


def test_a_dead_letter_is_read_as_text_and_hex_and_discarded(member: Visitor, tenant: Tenant) -> None:
    page = member.page
    tenant.post("/ingest", {"topic": "devices/boiler-7/telemetry", "payload_base64": "e25vcGU="}, expect=202)
    member.open("/dead-letters", "Dead letters")
    page.get_by_role("button", name="devices/boiler-7/telemetry").click()
    letter = page.get_by_role("dialog")
    expect(letter.get_by_label("Payload, 5 B")).to_have_text("{nope")
    letter.get_by_text("Hex", exact=True).click()
    expect(letter.get_by_label("Payload, 5 B")).to_contain_text("7b 6e 6f 70 65")
    assert "letter=dl_" in page.url
    member.assert_accessible()
    letter.get_by_role("button", name="Close").click()
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Discard 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Everything that came could be read")).to_be_visible()


def test_activity_is_searched_and_narrowed_by_its_address(member: Visitor, tenant: Tenant) -> None:
    page = member.page
    issued = tenant.issue("boiler-7")
    tenant.issue("boiler-8")
    member.open(f"/activity?kind=credential.issued&credential={issued.id}", "Activity")
    page.get_by_role("button", name="Credential issued").click()
    expect(page.get_by_text(f"credential:{issued.id}", exact=True)).to_be_visible()
    member.assert_accessible()
    shared = page.url
    assert "entry=" in shared
    page.get_by_role("button", name="Of any credential").click()
    expect(page.get_by_role("button", name="Credential issued")).to_have_count(2)
    page.get_by_label("Search").fill("boiler-8")
    expect(page.get_by_role("button", name="Credential issued")).to_have_count(1)
    page.get_by_role("combobox", name="Kind").fill("link.down")
    page.get_by_role("combobox", name="Kind").press("Enter")
    expect(page.get_by_text("Nothing like that happened")).to_be_visible()
    assert "kind=link.down" in page.url
    page.get_by_role("button", name="Show everything").click()
    expect(page.get_by_role("button", name="Credential issued")).to_have_count(2)
    entry = parse_qs(urlsplit(shared).query)["entry"][0]
    member.open(f"/activity?kind=api-key.issued&entry={entry}", "Activity")
    expect(page.get_by_role("region", name="The entry of the link")).to_contain_text(issued.id)


def test_usage_is_drawn_and_told_by_what_it_comes_from(member: Visitor, tenant: Tenant) -> None:
    page = member.page
    for _ in range(3):
        tenant.post("/ingest", {"topic": "devices/boiler-7/telemetry", "payload": {"t": 1}}, expect=202)
    member.open("/limits?span=1h&by=device", "Limits and usage")
    expect(page.get_by_text("Devices connected at once")).to_be_visible()
    expect(page.get_by_role("img", name="Messages over time: 3 messages")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="boiler-7")).to_contain_text("3")
    member.assert_accessible()
    page.get_by_label("Range").get_by_text("7d", exact=True).click()
    expect(page.get_by_role("img", name="Messages over time: 3 messages")).to_be_visible()
    assert "span=7d" in page.url
    page.get_by_role("link", name="boiler-7").click()
    member.see("boiler-7")


def test_longer_is_saved_at_once_and_shorter_only_by_the_organizations_name(
    member: Visitor, tenant: Tenant
) -> None:
    page = member.page
    tenant.http.put("/v1/retention", json={"raw_days": 30, "minutes_days": 180, "hours_days": None})
    member.open("/data", "Stored data")
    page.get_by_role("button", name="Change").click()
    days = page.get_by_label("Readings and messages, days")
    days.fill("200")
    expect(page.get_by_role("alert")).to_contain_text("at least as long as")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    days.fill("60")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("60 days")).to_be_visible()
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Readings and messages, days").fill("7")
    page.get_by_label("By the minute, days").fill("90")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("kept for 7 days instead of 60 days")
    expect(dialog.get_by_role("button", name="Delete it")).to_be_disabled()
    member.assert_accessible()
    dialog.get_by_label("Type Acme to confirm").fill("Acme")
    dialog.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("7 days")).to_be_visible()
    assert tenant.get("/retention")["raw_days"] == 7


def test_a_device_is_forgotten_by_its_id_and_one_sees_that_it_is_done(
    member: Visitor, tenant: Tenant
) -> None:
    page = member.page
    tenant.post("/ingest", {"topic": "devices/boiler-7/telemetry", "payload": {"t": 1}}, expect=202)
    eventually_now(lambda: tenant.get("/devices")["items"])
    member.open("/data", "Stored data")
    page.get_by_role("button", name="Forget a device").click()
    page.get_by_role("combobox", name="Device").fill("boil")
    page.get_by_role("option", name="boiler-7").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Type boiler-7 to confirm").fill("boiler-7")
    page.get_by_role("button", name="Erase it").click()
    row = page.get_by_role("row").filter(has_text="boiler-7")
    expect(row.get_by_text("erased", exact=True)).to_be_visible()
    expect(row).to_contain_text("1 reading, 1 message")
    assert tenant.get("/devices")["items"] == []


def test_who_may_only_read_changes_nothing_that_is_kept(visit: Visit, tenant: Tenant) -> None:
    key = tenant.post("/api-keys", {"name": "Reader", "scopes": ["read"]})["secret"]
    with visit() as reader:
        reader.enter(key)
        reader.open("/data", "Stored data")
        expect(reader.page.get_by_text("scope admin can change them")).to_be_visible()
        expect(reader.page.get_by_role("button", name="Change")).to_have_count(0)
        expect(reader.page.get_by_role("button", name="Forget a device")).to_have_count(0)


def test_an_export_that_is_refused_says_why_on_the_page(member: Visitor, tenant: Tenant) -> None:
    page = member.page
    address = "/activity?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z"
    member.open(address, "Activity")
    page.get_by_role("link", name="CSV").click()
    told = page.get_by_role("status").filter(has_text="request.invalid")
    expect(told).to_contain_text("it must lie before `to`")
    expect(told).to_contain_text("Mend what is named")
    member.see("Activity")
    key = next(each for each in tenant.all("/api-keys"))
    assert tenant.http.delete(f"/v1/api-keys/{key['id']}").status_code in (200, 204)
    page.get_by_role("link", name="CSV").click()
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()


def test_a_refusal_that_a_browser_visits_is_a_problem_document(member: Visitor) -> None:
    answer = member.page.goto(f"{member.gateway}/v1/activity/export?format=xml")
    assert answer is not None
    assert (answer.status, answer.header_value("content-type")) == (422, "application/problem+json")
    assert answer.json()["code"] == "request.invalid"


def test_the_overview_shows_the_last_hour_in_a_new_tab(member: Visitor, tenant: Tenant) -> None:
    """Counted by the server: nothing of it is this page's own memory."""
    for status, device in (("online", "d1"), ("online", "d2"), ("offline", "d3")):
        body = {"topic": f"devices/{device}/status", "payload": {"status": status}}
        tenant.post("/ingest", body, expect=202)
    eventually_now(lambda: tenant.get("/presence")["now"]["online"] == 2)
    member.open("/", "Overview")
    tile = member.page.get_by_role("link", name="Devices online")
    expect(tile).to_contain_text("2 of 3")
    expect(member.page.get_by_role("link", name="Open alerts")).to_contain_text("last hour")


def test_a_shorter_retention_shows_how_far_its_deletion_is(member: Visitor, tenant: Tenant) -> None:
    old = (datetime.now(UTC) - timedelta(days=20)).isoformat()
    body = {"topic": "devices/d1/telemetry", "payload": {"timestamp": old, "temperature": 20}}
    tenant.post("/ingest", body, expect=202)
    eventually_now(lambda: tenant.get("/devices")["items"])
    wanted = {"raw_days": 7, "minutes_days": 90, "hours_days": None}
    changed = tenant.http.put("/v1/retention", json=wanted)
    assert changed.status_code == 200, changed.text
    page = member.page
    member.open("/data", "Stored data")
    # It waits for the roll-ups of those hours first: that may take minutes.
    told = page.get_by_role("region", name="Deletion of what is older")
    words = r"What is older waits to be deleted|What is older is being deleted|What was older is deleted"
    expect(told).to_contain_text(re.compile(words))
    member.assert_accessible()
