"""Somebody who has never seen it has a device online, and sees its data move."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from deploy.local.stack import Stack
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = pytest.mark.browser


def example(visitor: Visitor, label: str) -> str:
    """The code that the page shows for a kind of device."""
    visitor.page.get_by_role("tab", name=label, exact=True).click()
    code = visitor.page.get_by_role("region", name=f"Example: {label}", exact=True)
    expect(code).to_be_visible()
    return code.inner_text()


def create(visitor: Visitor, device: str) -> None:
    visitor.page.get_by_role("link", name="Create a credential").click()
    visitor.see("Credentials")
    dialog = visitor.page.get_by_role("dialog", name="New credential")
    dialog.get_by_label("Device id").fill(device)
    dialog.get_by_role("button", name="Create").click()
    visitor.see(device)


def test_from_signing_in_to_data_that_moves(
    stack: Stack, visitor: Visitor, tenant: Tenant, tmp_path: Path
) -> None:
    visitor.sign_in(tenant.key)
    create(visitor, "boiler-7")
    page = visitor.page
    secret = page.get_by_test_id("secret")
    expect(secret).to_contain_text("•")
    page.get_by_role("button", name="Show", exact=True).click()
    password = secret.inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="JSON").click()
    saved = json.loads(downloading.value.path().read_text())
    assert saved["MQTT_PASSWORD"] == password
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    assert password not in example(visitor, "Python, paho")
    page.get_by_role("button", name="Show the password").click()
    code = example(visitor, "Python, paho")
    assert password in code
    visitor.assert_accessible()
    program = tmp_path / "device.py"
    program.write_text(code)
    device = subprocess.Popen([sys.executable, program])
    expect(page.get_by_text("The first message has arrived")).to_be_visible()
    expect(page.get_by_text('{"temperature": 20.0}').last).to_be_visible()
    visitor.assert_accessible()
    page.get_by_role("checkbox", name="I saved it").check()
    page.get_by_role("button", name="Hide it for good").click()
    expect(page.get_by_test_id("secret")).to_have_count(0)
    assert password not in page.content()
    page.get_by_role("link", name="See boiler-7 and its values").click()
    visitor.see("boiler-7")
    expect(page.get_by_role("region", name="Latest values")).to_contain_text(
        "22"
    )  # the last of what it sends
    assert device.wait(60) == 0
    page.get_by_role("link", name="Overview").first.click()
    visitor.see("Overview")
    expect(page.get_by_text("boiler-7").first).to_be_visible()


def test_a_password_is_gone_after_a_reload(visitor: Visitor, tenant: Tenant) -> None:
    visitor.sign_in(tenant.key)
    create(visitor, "d1")
    visitor.page.get_by_role("button", name="Show", exact=True).click()
    password = visitor.page.get_by_test_id("secret").inner_text()
    assert re.fullmatch(r"hmq_dev_\w+", password)
    kept = "() => JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, document.cookie])"
    assert password not in visitor.page.evaluate(kept)
    visitor.page.reload()
    visitor.see("d1")
    expect(visitor.page.get_by_text("The password was shown once")).to_be_visible()
    assert password not in visitor.page.content()
    visitor.page.go_back()
    visitor.page.go_forward()
    visitor.see("d1")
    assert password not in visitor.page.content()


def test_a_wrong_password_and_a_wrong_client_id_are_told_with_what_to_do(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d3")
    member.open(f"/credentials/{device.id}?tab=connect", "d3")
    expect(member.page.get_by_text("Waiting for a connection")).to_be_visible()
    guessed = Device(device.id, device.username, "guessed", device.client_id, device.topic_prefix).client()
    with pytest.raises(ConnectionRefusedError):
        connect(guessed, stack.nats.ports.mqtt)
    expect(member.page.get_by_text("The password is not that of this credential")).to_be_visible()
    wrong = Device(device.id, device.username, device.password, "my-device", device.topic_prefix).client()
    with pytest.raises(ConnectionRefusedError):
        connect(wrong, stack.nats.ports.mqtt)
    refused = member.page.get_by_text(f"Its client id must be {device.client_id}")
    expect(refused).to_be_visible()
    right = device.client()
    connect(right, stack.nats.ports.mqtt)
    expect(member.page.get_by_text("Connected", exact=True)).to_be_visible()
    expect(refused).to_have_count(0)
    disconnect(right)


def test_a_forbidden_topic_is_told_with_what_would_be_allowed(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d4")
    member.open(f"/credentials/{device.id}?tab=connect", "d4")
    expect(member.page.get_by_text("Waiting for a connection")).to_be_visible()
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    client.publish(device.topic("devices/other/telemetry"), "{}", qos=1).wait_for_publish(30)
    told = member.page.get_by_text("which it may not. Publish to")
    expect(told).to_contain_text(device.topic("devices/d4/telemetry"))
    disconnect(client)


def test_another_credentials_message_does_not_turn_it_green(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    for device_id, wishes in (
        ("d8", {"device_id": "d8"}),
        ("any", {"name": "any", "publish": ["devices/#"]}),
    ):
        new, other = tenant.issue(**wishes), tenant.issue(name="old", publish=["devices/#"])
        page = member.page
        member.open(f"/credentials/{new.id}?tab=connect", device_id)
        expect(page.get_by_text("Waiting for a connection")).to_be_visible()
        theirs = other.client()
        connect(theirs, stack.nats.ports.mqtt)
        theirs.publish(other.topic("devices/d8/telemetry"), '{"of": "another"}', qos=1).wait_for_publish(30)
        eventually_now(
            lambda: [row for row in tenant.get("/messages")["items"] if "another" in row["payload"]]
        )
        page.wait_for_timeout(500)  # longer than clocks may differ
        own = new.client()
        connect(own, stack.nats.ports.mqtt)
        expect(
            page.get_by_text("Connected", exact=True)
        ).to_be_visible()  # the page has seen what came before it
        expect(page.get_by_text("Waiting for a message")).to_be_visible()
        expect(page.get_by_text('{"of": "another"}')).to_have_count(0)
        own.publish(new.topic("devices/d8/telemetry"), '{"of": "its own"}', qos=1).wait_for_publish(30)
        expect(page.get_by_text('{"of": "its own"}')).to_be_visible()
        disconnect(own)
        disconnect(theirs)


def test_nobody_is_told_to_start_a_device_before_the_page_listens(member: Visitor, tenant: Tenant) -> None:
    device = tenant.issue("d6")
    member.page.route("**/v1/stream?*", lambda route: route.abort())
    member.open(f"/credentials/{device.id}?tab=connect", "d6")
    expect(member.page.get_by_text("Beginning to listen")).to_be_visible()
    expect(member.page.get_by_text("Waiting for a connection")).to_have_count(0)
    member.page.unroute("**/v1/stream?*")
    expect(member.page.get_by_text("Waiting for a connection")).to_be_visible()


def test_messages_go_on_after_the_gateway_was_restarted(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d5")
    member.open(f"/credentials/{device.id}?tab=connect", "d5")
    expect(member.page.get_by_text("Waiting for a connection")).to_be_visible()
    stack.kill("gateway")
    expect(member.page.get_by_text("The gateway cannot be reached")).to_be_visible()
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    stack.restart("gateway")
    client.publish(device.topic("devices/d5/telemetry"), '{"after": 1}', qos=1).wait_for_publish(30)
    expect(member.page.get_by_text("The first message has arrived")).to_be_visible(timeout=60_000)
    expect(member.page.get_by_text('{"after": 1}')).to_be_visible()
    disconnect(client)
