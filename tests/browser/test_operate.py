"""Pages by which an organization is run: API keys, activity, dead letters, limits."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


def test_a_key_is_made_shown_once_and_revoked_by_its_name(
    member: Visitor, visit: Visit, tenant: Tenant
) -> None:
    page = member.page
    member.open("/api-keys", "API keys")
    page.get_by_role("button", name="New API key").click()
    page.get_by_label("Name").fill("Dashboard")
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
        expect(reader.page.get_by_text("lacks the scope admin")).to_be_visible()
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


def test_activity_is_narrowed_by_its_address_and_its_details_open(member: Visitor, tenant: Tenant) -> None:
    tenant.issue("boiler-7")
    member.open("/activity?kind=credential.issued", "Activity")
    rows = member.page.get_by_role("button", name="Credential issued")
    rows.first.click()
    expect(member.page.get_by_text("credential.issued", exact=True)).to_be_visible()
    member.assert_accessible()
    member.page.get_by_label("Kind").fill("link.down")
    member.page.get_by_label("Kind").press("Enter")
    expect(member.page.get_by_text("Nothing like that happened")).to_be_visible()
    assert "kind=link.down" in member.page.url


def test_limits_show_what_is_used(member: Visitor) -> None:
    member.open("/limits", "Limits and usage")
    expect(member.page.get_by_text("Devices connected at once")).to_be_visible()
