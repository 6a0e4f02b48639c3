"""The life of a credential, by mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from deploy.local.stack import Stack
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("tab", ["details", "permissions", "connections", "history", "connect"])
def test_each_tab_is_accessible_and_fits_a_phone(member: Visitor, tenant: Tenant, tab: str) -> None:
    device = tenant.issue("d1")
    member.open(f"/credentials/{device.id}?tab={tab}", "d1")
    expect(member.page.get_by_role("status", name="Loading")).to_have_count(0)
    member.assert_accessible()
    member.page.set_viewport_size({"width": 390, "height": 844})
    member.assert_fits()


def test_a_rotation_shows_the_new_password_while_the_old_one_holds(member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d2")
    member.open(f"/credentials/{device.id}", "d2")
    member.page.get_by_role("button", name="Rotate password").click()
    dialog = member.page.get_by_role("dialog", name="Rotate the password")
    dialog.get_by_text("1 hour").click()
    dialog.get_by_role("button", name="Rotate").click()
    member.page.get_by_role("button", name="Show", exact=True).click()
    password = member.page.get_by_test_id("secret").inner_text()
    assert password != device.password
    held = tenant.get(f"/credentials/{device.id}")["secrets"]
    assert [len(held), password.startswith(held[0]["hint"])] == [2, True]
    expect(member.page.get_by_text(held[1]["hint"])).to_be_visible()


def test_revoking_takes_the_typed_name_and_ends_the_connection(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d3", name="Old pump")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    member.open(f"/credentials/{device.id}", "Old pump")
    member.page.get_by_role("button", name="More actions").click()
    member.page.get_by_role("menuitem", name="Revoke").click()
    dialog = member.page.get_by_role("dialog", name="Revoke this credential")
    confirm = dialog.get_by_role("button", name="Revoke")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Type Old pump to confirm").fill("old pump")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Type Old pump to confirm").fill("Old pump")
    confirm.click()
    expect(member.page.get_by_text("Revoked", exact=True)).to_be_visible()
    eventually_now(lambda: not client.is_connected())
    disconnect(client)


def test_filters_are_changed_checked_and_changed_back(member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d4")
    before = tenant.get(f"/credentials/{device.id}")["publish"]
    member.open(f"/credentials/{device.id}?tab=permissions", "d4")
    expect(member.page.get_by_text("Allowed", exact=True)).to_be_visible()
    member.page.get_by_label("May publish to").fill("devices/d4/status")
    member.page.get_by_role("button", name="Save").click()
    expect(member.page.get_by_text("Not allowed", exact=True)).to_be_visible()
    assert tenant.get(f"/credentials/{device.id}")["publish"] == [f"{tenant.id}/devices/d4/status"]
    member.page.get_by_role("button", name="Undo").click()
    expect(member.page.get_by_text("Allowed", exact=True)).to_be_visible()
    assert tenant.get(f"/credentials/{device.id}")["publish"] == before


def test_a_filter_outside_of_the_organization_is_refused_at_its_field(
    member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d5")
    member.open(f"/credentials/{device.id}?tab=permissions", "d5")
    member.page.get_by_label("May publish to").fill("org_0000000000000000/devices/#")
    member.page.get_by_role("button", name="Save").click()
    expect(member.page.get_by_label("May publish to")).to_have_attribute("aria-invalid", "true")
    assert tenant.get(f"/credentials/{device.id}")["publish"] == [f"{tenant.id}/devices/d5/#"]


def test_connections_are_shown_and_ended(stack: Stack, member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d6")
    client = device.client()
    gone: list[object] = []
    client.on_disconnect = lambda *arguments: gone.append(arguments)
    connect(client, stack.nats.ports.mqtt)
    member.open(f"/credentials/{device.id}?tab=connections", "d6")
    row = member.page.get_by_role("row").filter(has_text=device.client_id)
    row.get_by_role("button", name="Disconnect").click()
    eventually_now(lambda: bool(gone))
    disconnect(client)
