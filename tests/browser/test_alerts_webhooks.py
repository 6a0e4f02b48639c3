"""Alert rules from form to answer; a webhook from its address to a tried call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser
HOT = {"kind": "threshold", "metric": "temperature", "operator": ">", "value": 90}


def test_a_rule_is_made_an_alert_opens_and_is_answered(member: Visitor, tenant: Tenant) -> None:
    page = member.page
    member.open("/alerts?tab=rules", "Alerts")
    page.get_by_role("button", name="New rule").first.click()
    page.get_by_role("textbox", name="Name").fill("Boiler too hot")
    page.get_by_role("combobox", name="Metric").fill("temperature")
    page.get_by_label("Limit", exact=True).fill("90")
    page.get_by_label("For, in seconds").fill("0")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("row").filter(has_text="Boiler too hot")).to_contain_text("temperature > 90")
    member.open("/alerts", "Alerts")
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()

    def hot() -> bool:
        """Rules hold for what comes after they are known: another value, until then."""
        tenant.post(
            "/ingest", {"topic": "devices/boiler-7/telemetry", "payload": {"temperature": 95}}, expect=202
        )
        return page.get_by_role("link", name="Boiler too hot").is_visible()

    for _ in range(30):
        if hot():
            break
        page.wait_for_timeout(1000)
    page.get_by_role("link", name="Boiler too hot").click()
    member.see("Boiler too hot")
    page.get_by_label("Note").fill("On my way")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("On my way")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("acknowledged")
    member.assert_accessible()


def test_the_form_shows_what_the_rule_would_have_done_and_a_rule_is_changed(
    member: Visitor, tenant: Tenant
) -> None:
    page, now = member.page, datetime.now(UTC)
    for ago, value in zip(range(6, 0, -1), (70, 95, 95, 70, 70, 96), strict=True):
        payload = {"ts": (now - timedelta(minutes=ago)).isoformat(), "temperature": value}
        tenant.post("/ingest", {"topic": "devices/boiler-7/telemetry", "payload": payload}, expect=202)
    condition = {"kind": "threshold", "metric": "temperature", "operator": ">", "value": 200, "for_s": 30}
    made = tenant.post("/alert-rules", {"name": "Too hot", "condition": condition, "cooldown_s": 5})
    eventually_now(
        lambda: tenant.post("/alert-rules/preview", {"condition": condition}, expect=200)["judged"] == 6
    )
    member.open(f"/alerts?tab=rules&rule={made['id']}", "Alerts")
    dialog = page.get_by_role("dialog", name="Change Too hot")
    tried = dialog.get_by_role("region", name="What it would have done")
    expect(tried.get_by_role("status")).to_contain_text("No alert of 6 readings")
    dialog.get_by_label("Limit", exact=True).fill("80")
    expect(tried.get_by_role("status")).to_contain_text("2 alerts of 6 readings")
    expect(tried.get_by_role("listitem").first).to_contain_text("still open")
    expect(tried.get_by_role("img", name="with the limit at 80; 2 alerts")).to_be_visible()
    member.assert_accessible()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="Too hot")).to_contain_text("temperature > 80 for 30 s")
    changed = tenant.get(f"/alert-rules/{made['id']}")
    assert (changed["condition"]["value"], changed["cooldown_s"]) == (80, 5)
    assert "rule=" not in page.url


def test_several_alerts_are_acknowledged_at_once_and_filters_are_in_the_address(
    member: Visitor, tenant: Tenant
) -> None:
    named = {"kind": "devices", "device_ids": ["a", "b", "c"]}
    tenant.post("/alert-rules", {"name": "Hot", "scope": named, "condition": HOT})
    page = member.page

    def all_open() -> bool:
        for device in "abc":
            topic = f"devices/{device}/telemetry"
            tenant.post("/ingest", {"topic": topic, "payload": {"temperature": 99}}, expect=202)
        return len(tenant.get("/alerts", state="unresolved")["items"]) == 3

    eventually_now(all_open, timeout_s=60, every_s=1)
    member.open("/alerts?device=a", "Alerts")
    expect(page.get_by_role("link", name="Hot")).to_have_count(1)
    page.get_by_role("textbox", name="Device").fill("")
    expect(page.get_by_role("link", name="Hot")).to_have_count(3)
    page.get_by_role("checkbox", name="Choose Hot, b").check()
    expect(page.get_by_role("button", name="Acknowledge 1")).to_be_visible()
    page.get_by_role("checkbox", name="Choose all that are shown").check()
    page.get_by_role("button", name="Acknowledge 3").click()
    expect(page.get_by_role("cell", name="acknowledged")).to_have_count(3)
    assert {each["state"] for each in tenant.get("/alerts")["items"]} == {"acknowledged"}


def test_a_rule_is_switched_off_and_deleted(member: Visitor, tenant: Tenant) -> None:
    tenant.post("/alert-rules", {"name": "Silent", "condition": {"kind": "no_data", "for_s": 60}})
    member.open("/alerts?tab=rules", "Alerts")
    row = member.page.get_by_role("row").filter(has_text="Silent")
    row.get_by_role("switch").click()
    expect(row.get_by_role("switch")).not_to_be_checked()
    member.page.get_by_role("button", name="Undo").click()
    expect(row.get_by_role("switch")).to_be_checked()
    row.get_by_role("button", name="Delete Silent").click()
    member.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_who_may_only_read_sees_alerts_and_makes_none(visit: Visit, tenant: Tenant) -> None:
    key = tenant.post("/api-keys", {"name": "Reader", "scopes": ["read"]})["secret"]
    with visit() as reader:
        reader.sign_in(key)
        reader.open("/alerts?tab=rules", "Alerts")
        expect(reader.page.get_by_role("switch").first).to_be_disabled()
        expect(reader.page.get_by_role("button", name="New rule")).to_have_count(0)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_is_made_its_secret_shown_once_and_it_is_tried(
    member: Visitor, tenant: Tenant, receiver: str
) -> None:
    page = member.page
    member.open("/webhooks", "Webhooks")
    page.get_by_role("button", name="New webhook").click()
    page.get_by_role("textbox", name="Name").fill("Operations")
    page.get_by_role("textbox", name="Address").fill(receiver)
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Show", exact=True).click()
    secret = page.get_by_test_id("secret").inner_text()
    assert secret.startswith("whsec_")
    page.get_by_label("I saved it").check()
    page.get_by_role("button", name="Done").click()
    member.see("Operations")
    assert secret not in page.content()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("Answered 204")).to_be_visible()
    member.assert_accessible()
    page.get_by_role("button", name="New secret").click()
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    expect(page.get_by_role("heading", name="Save the new secret now")).to_be_visible()
    page.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change Operations")
    dialog.get_by_label("Links of brokers").check()
    dialog.get_by_label("Devices", exact=True).first.fill("boiler-7,boiler-8,")
    dialog.get_by_label("Messages of devices").check()
    dialog.get_by_label("Topics").fill("devices/+/telemetry, a#")
    dialog.get_by_role("combobox", name="Integration").click()
    page.get_by_role("option", name="Hosted").click()
    dialog.get_by_role("button", name="Add a header").click()
    dialog.get_by_label("Name of header 1").fill("Host")
    dialog.get_by_label("Value of header 1").fill("a secret of ours")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("this header is not yours to set")).to_be_visible()
    expect(dialog.get_by_text("a#: ")).to_be_visible()
    expect(dialog.get_by_label("Value of header 1")).to_have_value("a secret of ours")
    member.assert_accessible()
    dialog.get_by_label("Name of header 1").fill("X-Team")
    dialog.get_by_label("Topics").fill("devices/+/telemetry")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("alert.*, link.*, message")).to_be_visible()
    [held] = tenant.get("/webhooks")["items"]
    assert held["headers"] == ["X-Team"]
    assert (held["device_ids"], held["integration_id"]) == (["boiler-7", "boiler-8"], "hosted")
    page.get_by_role("button", name="Change").click()
    expect(dialog.get_by_text("X-Team")).to_be_visible()
    assert "a secret of ours" not in page.content()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert tenant.get("/webhooks")["items"][0]["headers"] == ["X-Team"], "what is not touched is kept"
    page.get_by_role("button", name="Change").click()
    dialog.get_by_role("button", name="Replace it").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    assert tenant.get("/webhooks")["items"][0]["headers"] == []
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("paused")
    page.get_by_role("button", name="Delete").click()
    page.get_by_label("Type Operations to confirm").fill("Operations")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(r"/console/webhooks$"))
