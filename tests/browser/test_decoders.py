"""A decoder's settings are fields, tried on a real message while they are filled in; they mend a dead letter."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import expect

from contracts.decoders.choice import SETTLES_NS
from deploy.local.stack import Stack
from tests.browser.brokers import choose, fill
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

pytestmark = pytest.mark.browser


def send(stack: Stack, tenant: Tenant, payload: str) -> None:
    device = tenant.issue("d1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    client.publish(device.topic("devices/d1/telemetry"), payload, qos=1).wait_for_publish(30)
    disconnect(client)
    eventually_now(lambda: tenant.get("/messages")["items"])


def test_settings_are_fields_and_the_last_message_shows_what_they_do(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    send(stack, tenant, json.dumps({"body": {"t": 215, "h": 40}, "at": 1_790_000_000}))
    member.open("/integrations/hosted?tab=decoder")
    page = member.page
    becomes = page.get_by_role("region", name="What becomes of it")
    expect(becomes.get_by_role("row").filter(has_text="body.t")).to_contain_text("215")
    choose(member, "Decoder", "custom")
    fill(member, {"Path of the readings": "body", "Path of the time": "at"})
    fill(member, {"Format of the time": "unknown"})
    expect(page.get_by_text("auto, iso8601, unix, unix_ms, vmark, or a pattern")).to_be_visible()
    fill(member, {"Format of the time": "unix"})
    for label, name, value in (("Names", "t", "temperature"), ("Scale", "temperature", "0.1")):
        page.get_by_role("button", name=f"Add to {label}").click()
        fill(member, {f"{label}, name 1": name, f"{label}, value 1": value})
    expect(becomes.get_by_role("row").filter(has_text="temperature")).to_contain_text("21.5")
    member.assert_accessible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The decoder is changed")).to_be_visible()
    held = tenant.get("/integrations/hosted")["decoder"]
    assert held == {
        "name": "custom",
        "settings": {
            "telemetry_path": "body",
            "timestamp_path": "at",
            "timestamp_format": "unix",
            "renames": {"t": "temperature"},
            "scale": {"temperature": 0.1},
        },
    }
    page.get_by_label("Expression", exact=True).check()
    expect(page.get_by_label("Path of the readings")).to_have_count(0)
    page.get_by_role("button", name="Settings as JSON").click()
    expect(page.get_by_role("textbox", name="Settings as JSON")).to_have_value(re.compile("jmespath"))


def test_a_dead_letter_is_inspected_its_decoder_mended_and_the_retry_reads_it(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    tenant.http.patch("/v1/integrations/hosted", json={"decoder": {"name": "cbor"}}).raise_for_status()
    time.sleep(SETTLES_NS / 1e9)  # what is stored earlier is read as before
    send(stack, tenant, '{"temperature": 21.5}')
    eventually_now(lambda: tenant.get("/dead-letters")["items"])
    member.open("/dead-letters", "Dead letters")
    page = member.page
    page.get_by_role("button", name="devices/d1/telemetry").click()
    letter = page.get_by_role("dialog")
    expect(letter.get_by_label("Payload, 21 B")).to_contain_text('"temperature": 21.5')
    expect(letter.get_by_text("payload.not_cbor").first).to_be_visible()
    expect(letter.get_by_text("choose the decoder that fits")).to_be_visible()
    letter.get_by_role("button", name="Retry it").click()
    expect(page.get_by_text("Still not readable")).to_be_visible()
    letter.get_by_role("link", name="Mend the decoder").click()
    expect(page.get_by_role("combobox", name="Tried on")).to_have_value(
        f"The dead letter of {tenant.id}/devices/d1/telemetry"
    )
    choose(member, "Decoder", "standard")
    becomes = page.get_by_role("region", name="What becomes of it")
    expect(becomes.get_by_role("row").filter(has_text="temperature")).to_contain_text("21.5")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Back to the dead letter").click()
    expect(letter.get_by_text("Readings", exact=True)).to_be_visible()
    member.assert_accessible()
    letter.get_by_role("button", name="Retry it").click()
    expect(page.get_by_text("1 of 1 could be read.")).to_be_visible()
    expect(letter.get_by_text("resolved", exact=True)).to_be_visible()
    assert tenant.get("/telemetry")["items"][0]["metrics"] == {"temperature": 21.5}
