"""A customer's broker, from a preset to messages that come and go; and why one does not connect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from paho.mqtt import subscribe
from playwright.sync_api import expect

from deploy.local.ports import LOOPBACK, free_port
from tests.browser.brokers import ANY, begin, choose, expect_failed, fill
from tests.support.browser import Visitor
from tests.support.mosquitto import Mosquitto
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


def fill_in(visitor: Visitor, port: int) -> None:
    """A broker on this machine that asks for nothing."""
    begin(visitor, ANY)
    choose(visitor, "Sign in with", "Nothing")
    choose(visitor, "Protocol", "MQTT (mqtt)")
    fill(visitor, {"Host": LOOPBACK, "Port": port})


def test_a_broker_is_tested_saved_and_published_to(
    member: Visitor, tenant: Tenant, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    fill_in(member, broker.port)
    member.assert_accessible()
    page = member.page
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("The connection works.")).to_be_visible()
    expect(page.get_by_text("MQTT: sign in")).to_be_visible()
    page.get_by_role("button", name="Save and connect").click()
    member.see(LOOPBACK)
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()
    member.assert_accessible()
    page.get_by_role("tab", name="Subscriptions").click()
    page.get_by_role("textbox", name="New filter").fill("answers/#")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row").filter(has_text="answers/#")
    expect(row.get_by_text("Granted")).to_be_visible()
    page.get_by_role("tab", name="Publish").click()
    page.get_by_label("Topic", exact=True).fill("answers/one")
    page.get_by_label("Payload").fill("yes")
    page.get_by_role("radiogroup", name="QoS").get_by_text("QoS 2").click()
    page.get_by_label("Retain: whoever subscribes later gets it, too").check()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Acknowledged in")).to_be_visible()
    kept = subscribe.simple("answers/one", qos=2, hostname=LOOPBACK, port=broker.port)  # type: ignore[no-untyped-call]
    assert (kept.payload, kept.qos, kept.retain) == (b"yes", 2, True)
    page.get_by_role("tab", name="Subscriptions").click()
    expect(row.get_by_role("cell", name="1", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Remove answers/#").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row.get_by_text("Granted")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()
    (saved,) = (each for each in tenant.get("/integrations")["items"] if each["broker_type"] == "external")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this integration")
    dialog.get_by_label(f"Type {LOOPBACK} to confirm").fill(LOOPBACK)
    dialog.get_by_role("button", name="Delete").click()
    member.see("Integrations")
    assert tenant.http.get(f"/v1/integrations/{saved['id']}").status_code == 404


def test_a_broker_that_does_not_answer_is_explained_step_by_step(member: Visitor) -> None:
    fill_in(member, free_port())
    member.page.get_by_role("button", name="Test the connection").click()
    expect_failed(member, "Connect", "broker.unreachable", "Check Port, that the broker listens on it")
    expect(member.page.get_by_role("listitem").filter(has_text="MQTT: sign in")).to_contain_text("not tried")


def test_an_address_of_the_platforms_own_network_is_refused_at_its_step(member: Visitor) -> None:
    fill_in(member, 1883)
    member.page.get_by_label("Host", exact=True).fill("169.254.169.254")
    member.page.get_by_role("button", name="Test the connection").click()
    expect(member.page.get_by_text("address.forbidden")).to_be_visible()


def test_the_hosted_broker_reads_with_another_decoder_and_shows_it_before(
    member: Visitor, tenant: Tenant
) -> None:
    tenant.post("/ingest", {"topic": "devices/d1/telemetry", "payload": {"temperature": 21.5}}, expect=202)
    member.open("/integrations/hosted?tab=decoder")
    preview = member.page.get_by_text("Readings", exact=True)
    expect(preview).to_be_visible()
    choose(member, "Decoder", "cbor")
    member.page.get_by_role("button", name="Save").click()
    expect(member.page.get_by_text("The decoder is changed")).to_be_visible()
    assert tenant.get("/integrations/hosted")["decoder"]["name"] == "cbor"
    member.page.get_by_role("button", name="Undo").click()
    expect(member.page.get_by_role("combobox", name="Decoder")).to_be_visible()
    member.assert_accessible()


def test_each_tab_of_the_hosted_broker_fits_a_phone(member: Visitor) -> None:
    member.page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("connection", "publish", "decoder", "log"):
        member.open(f"/integrations/hosted?tab={tab}")
        expect(member.page.get_by_role("tab", selected=True)).to_be_visible()
        expect(member.page.get_by_role("status", name="Loading")).to_have_count(0)
        member.assert_fits()
