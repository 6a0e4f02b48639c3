"""The life of a credential, by mouse."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from deploy.local.stack import Stack
from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("tab", ["details", "permissions", "connections", "history", "connect"])
def test_each_tab_is_accessible_and_fits_a_phone(member: Visitor, tenant: Tenant, tab: str) -> None:
    device = tenant.issue("d1")
    member.open(f"/credentials/{device.id}?tab={tab}", "d1")
    expect(member.page.get_by_role("status", name="Loading")).to_have_count(0)
    member.assert_accessible()
    member.page.set_viewport_size({"width": 390, "height": 844})
    member.assert_fits()


def test_a_rotation_shows_the_new_password_while_the_old_one_holds(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
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
    for each in (device, replace(device, password=password)):
        client = each.client()
        connect(client, stack.nats.ports.mqtt)
        disconnect(client)


def test_who_leaves_before_a_password_is_saved_is_asked(member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d7")
    member.open(f"/credentials/{device.id}", "d7")
    page = member.page
    page.get_by_role("button", name="Rotate password").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(page.get_by_role("img", name="QR code")).to_have_count(0)
    page.get_by_role("button", name="QR code").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("Credential rotated")).to_be_visible()
    asked = page.get_by_role("dialog", name="Password: not saved yet")
    page.get_by_role("link", name="Devices").click()
    asked.get_by_role("button", name="Stay here").click()
    expect(page.get_by_test_id("secret")).to_be_visible()
    page.get_by_role("link", name="Devices").click()
    asked.get_by_role("button", name="Leave without it").click()
    member.see("Devices")
    page.go_back()
    member.see("d7")
    expect(page.get_by_test_id("secret")).to_have_count(0)


def test_a_fleet_comes_from_a_file(stack: Stack, member: Visitor, tenant: Tenant, tmp_path: Path) -> None:
    member.open("/credentials/import", "Many credentials from a file")
    page = member.page
    lines = ["device_id,publish", "f1,", "f2,elsewhere/#", "f 3,", "f1,devices/f1/#"]
    fleet = tmp_path / "fleet.csv"
    fleet.write_text("\n".join(lines))
    page.locator("input[type=file]").set_input_files(fleet)
    go = page.get_by_role("button", name="Issue 2 credentials")
    expect(go).to_be_enabled()
    preview = page.get_by_role("list", name="Lines")
    expect(preview.get_by_role("listitem")).to_have_count(4)
    expect(preview).to_contain_text("publishing is allowed below")
    expect(preview).to_contain_text("no spaces")
    expect(preview).to_contain_text("like line 2")
    member.assert_accessible()
    page.get_by_text("With an error 2").click()
    expect(preview.get_by_role("listitem")).to_have_count(2)
    assert tenant.get("/credentials")["items"] == []
    go.click()
    expect(page.get_by_role("heading", name="Save the passwords now")).to_be_visible()
    member.assert_accessible()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Passwords as CSV").click()
    rows = list(csv.DictReader(downloading.value.path().read_text().splitlines()))
    assert [(row["line"], row["device_id"]) for row in rows] == [("2", "f1"), ("5", "f1")]
    issued = rows[0]
    device = Device(*(issued[name] for name in ("id", "username", "password", "client_id", "topic_prefix")))
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    disconnect(client)
    page.get_by_role("link", name="← Credentials").click()
    page.get_by_role("dialog").get_by_role("button", name="Stay here").click()
    page.get_by_role("checkbox", name="I saved them").check()
    page.get_by_role("button", name="To the credentials").click()
    member.see("Credentials")
    expect(page.get_by_role("list", name="Credentials").get_by_role("listitem")).to_have_count(2)
    page.go_back()
    member.see("Many credentials from a file")
    assert device.password not in page.content()


def test_of_many_credentials_only_those_in_sight_are_in_the_document(member: Visitor, tenant: Tenant) -> None:
    many = 1200
    body = "".join(f'{{"device_id": "m-{number:04}"}}\n' for number in range(many))
    headers = {"Content-Type": "application/x-ndjson"}
    sent = tenant.http.post("/v1/credentials/bulk", content=body, headers=headers, timeout=120)
    assert sent.text.count("hmq_dev_") >= many
    member.open("/credentials", "Credentials")
    page = member.page
    expect(page.get_by_role("link", name=f"m-{many - 1:04}")).to_be_visible()
    oldest = page.get_by_role("link", name="m-0000")
    scroller = page.get_by_role("list", name="Credentials").locator("..")

    def at_the_end() -> bool:
        scroller.evaluate("box => { box.scrollTop = box.scrollHeight }")
        return oldest.is_visible()

    eventually_now(at_the_end, every_s=0.1)
    expect(page.get_by_text("1,200", exact=True)).to_be_visible()
    assert page.get_by_role("listitem").count() < 80
    page.get_by_label("Search credentials").fill(
        "M-07"
    )  # no id has a hyphen: a part of one would be found, too
    expect(page.get_by_text("100", exact=True)).to_be_visible()
    assert "q=M-07" in page.url
    page.get_by_label("State").first.click()
    page.get_by_role("option", name="Revoked").click()
    page.get_by_role("button", name="Show all credentials").click()
    expect(page.get_by_role("link", name=f"m-{many - 1:04}")).to_be_visible()


def test_its_end_and_its_certificate_are_changed(member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d8")
    member.open(f"/credentials/{device.id}", "d8")
    page = member.page
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Change expiry").click()
    dialog = page.get_by_role("dialog", name="When it expires")
    dialog.get_by_label("Expires").fill("2020-01-01T12:00")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Expires")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("Expires")).to_have_value("2020-01-01T12:00")
    dialog.get_by_label("Expires").fill("2035-01-01T12:00")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("definition").filter(has_text="2035")).to_be_visible()
    page.get_by_role("button", name="Bind a certificate").click()
    dialog = page.get_by_role("dialog", name="Bind a client certificate")
    dialog.get_by_text("SHA-256", exact=True).click()
    dialog.get_by_label("SHA-256 fingerprint").fill("abc")
    dialog.get_by_role("button", name="Bind").click()
    expect(dialog.get_by_text("64 hexadecimal digits", exact=False).last).to_be_visible()
    dialog.get_by_label("SHA-256 fingerprint").fill("9f" * 32)
    dialog.get_by_role("button", name="Bind").click()
    expect(page.get_by_text("9f" * 32)).to_be_visible()
    assert tenant.get(f"/credentials/{device.id}")["certificate"]["fingerprint"] == "9f" * 32
    page.get_by_role("button", name="Unbind").click()
    page.get_by_role("dialog").get_by_role("button", name="Unbind").click()
    expect(page.get_by_text("None is bound")).to_be_visible()
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_role("listitem").filter(has_text="Credential expiry changed")).to_contain_text("2035")


def test_who_may_only_read_is_told_what_it_takes(visit: Visit, tenant: Tenant) -> None:
    device = tenant.issue("d9")
    key = tenant.post("/api-keys", {"name": "reader", "scopes": ["read"]})["secret"]
    with visit() as reader:
        reader.enter(key)
        reader.open("/credentials/import", "Many credentials from a file")
        expect(reader.page.get_by_text("lacks the scope manage_credentials")).to_be_visible()
        reader.open(f"/credentials/{device.id}?tab=permissions", "d9")
        expect(reader.page.get_by_text("takes a key with the scope manage_credentials")).to_be_visible()
        expect(reader.page.get_by_role("button", name="Save")).to_have_count(0)
        expect(reader.page.get_by_role("button", name="Rotate password")).to_have_count(0)
        expect(reader.page.get_by_role("button", name="More actions")).to_have_count(0)


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
    topic = member.page.get_by_label("Topic", exact=True)
    for wrong in ("devices/d4/a b", "devices/+/x"):
        topic.fill(wrong)
        expect(topic).to_have_attribute("aria-invalid", "true")
    topic.fill("devices/d4/telemetry")
    expect(topic).not_to_have_attribute("aria-invalid", "true")
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
