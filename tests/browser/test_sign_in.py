"""Signing in and out, and what a session is proof against."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from contracts.secrets_format import mint
from deploy.local.stack import Stack
from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


def test_a_key_becomes_a_cookie_that_scripts_cannot_read(member: Visitor, tenant: Tenant) -> None:
    (cookie,) = member.page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("hmq_session", True, "Strict")
    assert tenant.key not in cookie["value"]
    kept = member.page.evaluate(
        "() => document.cookie + JSON.stringify({...localStorage, ...sessionStorage})"
    )
    assert "hmq" not in kept
    assert member.api("GET", "/v1/credentials")["status"] == 200


def test_a_wrong_key_is_refused_with_its_code_and_a_next_step(visitor: Visitor) -> None:
    visitor.open("/sign-in", "Sign in")
    visitor.page.get_by_label("API key", exact=True).fill(mint("key"))
    visitor.page.get_by_role("button", name="Sign in").click()
    problem = visitor.page.get_by_role("alert")
    expect(problem).to_contain_text("key.invalid")
    expect(problem).to_contain_text("Use another API key")
    assert not visitor.page.context.cookies()


def test_a_deep_link_leads_where_it_says_after_signing_in(visitor: Visitor, tenant: Tenant) -> None:
    visitor.open("/credentials", "Sign in")
    visitor.page.get_by_label("API key", exact=True).fill(tenant.key)
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.see("Credentials")


def test_who_signs_out_is_out(member: Visitor) -> None:
    member.page.get_by_role("button", name="Sign out").first.click()
    member.see("Sign in")
    assert not member.page.context.cookies()
    assert member.api("GET", "/v1/credentials")["status"] == 401
    member.open("/", "Sign in")


def test_revoking_the_key_ends_its_session_at_once(member: Visitor, tenant: Tenant) -> None:
    (key,) = tenant.get("/api-keys")["items"]
    tenant.http.delete(f"/v1/api-keys/{key['id']}")
    answer = member.api("GET", "/v1/credentials")
    assert (answer["status"], answer["body"]["code"]) == (401, "key.invalid")
    # by itself: what the page asks every few seconds is refused
    again = member.page.get_by_role("dialog", name="Sign in again")
    expect(again.get_by_text("Your session has ended")).to_be_visible()
    member.assert_accessible()
    other = tenant.stack.addresses.admin_key
    again.get_by_label("API key", exact=True).fill(other)
    again.get_by_role("button", name="Sign in").click()
    member.see("Organizations")  # somebody else begins anew


def test_nothing_that_was_typed_is_lost_by_another_tab_or_by_the_sessions_end(
    member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d1")
    member.open(f"/credentials/{device.id}?tab=permissions", "d1")
    page = member.page
    filters = page.get_by_role("textbox", name="May publish to")
    filters.fill(device.topic("devices/d1/#\ndevices/spare/#"))
    page.get_by_role("tab", name="History").click()
    expect(filters).to_be_hidden()
    page.get_by_role("tab", name="Permissions").click()
    expect(filters).to_have_value(re.compile("spare"))
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    again = page.get_by_role("dialog", name="Sign in again")
    again.get_by_label("API key", exact=True).fill(tenant.key)
    again.get_by_role("button", name="Sign in").click()
    expect(again).to_have_count(0)
    expect(filters).to_have_value(re.compile("spare"))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The permissions are changed")).to_be_visible()
    assert len(tenant.get(f"/credentials/{device.id}")["publish"]) == 2


def test_two_sessions_in_one_machine_see_each_its_own(visit: Visit, tenant: Tenant) -> None:
    other = Tenant(tenant.stack, "Other")
    tenant.issue("mine-only")
    with visit() as mine, visit() as theirs:
        mine.sign_in(tenant.key)
        theirs.sign_in(other.key)
        mine.open("/credentials", "Credentials")
        theirs.open("/credentials", "Credentials")
        expect(mine.page.get_by_text("mine-only").first).to_be_visible()
        expect(theirs.page.get_by_text("No credentials yet")).to_be_visible()
        expect(theirs.page.get_by_text("mine-only")).to_have_count(0)
        credential = tenant.get("/credentials")["items"][0]["id"]
        assert theirs.api("GET", f"/v1/credentials/{credential}")["status"] == 404
    other.close()


def test_the_operator_chooses_for_which_organization_a_page_is(visitor: Visitor, tenant: Tenant) -> None:
    tenant.issue("of-the-chosen")
    visitor.sign_in(tenant.stack.addresses.admin_key, "Organizations")
    row = visitor.page.get_by_role("row").filter(has_text=tenant.id)
    row.get_by_role("link").click()
    visitor.see("Overview")
    visitor.page.get_by_role("link", name="Credentials").first.click()
    visitor.see("Credentials")
    assert f"org={tenant.id}" in visitor.page.url
    expect(visitor.page.get_by_text("of-the-chosen").first).to_be_visible()


def test_the_operator_saves_files_of_the_organization_that_was_chosen(
    visitor: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("of-the-chosen")
    visitor.enter(tenant.stack.addresses.admin_key, organization=tenant.id)
    visitor.open(f"/activity?org={tenant.id}", "Activity")
    expect(visitor.page.get_by_text("Credential issued").first).to_be_visible()
    with visitor.page.expect_download() as downloading:
        visitor.page.get_by_role("link", name="CSV").click()
    assert device.id in downloading.value.path().read_text()


def test_an_organization_is_made_found_and_deleted_by_its_name(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(stack.addresses.admin_key, "Organizations")
    page = visitor.page
    page.get_by_role("button", name="New organization").first.click()
    dialog = page.get_by_role("dialog", name="New organization")
    dialog.get_by_label("Name").fill("Short-lived Ltd.")
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_role("button", name="Show").click()
    key = dialog.get_by_test_id("secret").inner_text()
    dialog.get_by_role("checkbox", name="I saved it").check()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_label("Search organizations").fill("short-lived")
    expect(page.get_by_role("row").filter(has_text="Short-lived Ltd.")).to_have_count(1)
    visitor.assert_accessible()
    visitor.assert_fits()
    page.get_by_role("button", name="Delete Short-lived Ltd.").click()
    deletion = page.get_by_role("dialog", name="Delete this organization?")
    expect(deletion.get_by_role("button", name="Delete")).to_be_disabled()
    deletion.get_by_label("Type Short-lived Ltd. to confirm").fill("Short-lived Ltd.")
    deletion.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No organization matches")).to_be_visible()
    answer = page.request.get("/v1/credentials", headers={"Authorization": f"Bearer {key}"})
    assert answer.status == 401


def test_a_key_that_may_not_manage_credentials_is_not_offered_to(visitor: Visitor, tenant: Tenant) -> None:
    key = tenant.post("/api-keys", {"name": "Reader", "scopes": ["read"]})["secret"]
    visitor.sign_in(key)
    visitor.open("/credentials", "Credentials")
    expect(visitor.page.get_by_text("No credentials yet")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="New credential")).to_have_count(0)
    refused = visitor.api("POST", "/v1/credentials", {"name": "x"})
    assert (refused["status"], refused["body"]["code"]) == (403, "scope.missing")
