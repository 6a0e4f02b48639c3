"""The five minutes without a mouse: what has the focus is always seen, and nothing that is done takes it away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from deploy.local.stack import Stack
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = pytest.mark.browser

PRESSES_MAX = 60  # the menu, and more than any page has before what is wanted
_STEP = """wanted => {
    const focused = document.activeElement;
    if (focused === document.body) return "";  // between the page's end and its beginning
    const small = focused.getBoundingClientRect().width < 2;  // a radio whose label is what one sees
    const {top, left, bottom, right} = (small ? focused.labels[0] : focused).getBoundingClientRect();
    const style = getComputedStyle(small ? focused.labels[0] : focused);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const within = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
    if (!ring || !within) return `${focused.outerHTML.slice(0, 200)}: ring ${ring}, in sight ${within}`;
    return focused === wanted ? "there" : "";
}"""


class Keys:
    """Somebody's keyboard."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor, self.page = visitor, visitor.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def reach(self, wanted: Locator, key: str = "Tab") -> None:
        """Goes there step by step; at each step one sees where one is."""
        for _ in range(PRESSES_MAX):
            self.press(key)
            found = wanted.evaluate(_STEP)
            if found:
                assert found == "there", found
                return
        raise AssertionError(f"{key} does not come to {wanted}")

    def choose(self, role: str, name: str) -> None:
        """A link or button, and Enter."""
        self.reach(self.page.get_by_role(role, name=name, exact=True).first)  # type: ignore[arg-type]
        self.press("Enter")

    def go(self, page: str) -> None:
        """By Ctrl-K; the page has the focus then."""
        self.press("Control+k")
        expect(self.page.get_by_role("combobox", name="Go to a page")).to_be_focused()
        self.type(page)
        self.press("Enter")
        self._visitor.see(page)
        expect(self.page.get_by_role("main")).to_be_focused()


def test_somebody_without_a_mouse_goes_from_signing_in_to_revoking(
    stack: Stack, visitor: Visitor, tenant: Tenant
) -> None:
    hot = {"kind": "threshold", "metric": "temperature", "operator": ">", "value": 90}
    tenant.post("/alert-rules", {"name": "Too hot", "condition": hot})
    page, keys = visitor.page, Keys(visitor)
    visitor.open("/sign-in", "Sign in")
    keys.type(tenant.key)
    keys.press("Enter")
    visitor.see("Overview")
    keys.choose("link", "Skip to the content")
    expect(page.get_by_role("main")).to_be_focused()

    keys.choose("link", "Create a credential")
    expect(page.get_by_label("Device id")).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.choose("button", "New credential")
    expect(page.get_by_label("Device id")).to_be_focused()
    keys.type("boiler-7")
    keys.press("Enter")
    visitor.see("boiler-7")
    expect(page.get_by_role("main")).to_be_focused()
    keys.choose("button", "Show")
    password = page.get_by_test_id("secret").inner_text()
    keys.reach(page.get_by_role("checkbox", name="I saved it"))
    keys.press("Space")
    keys.choose("button", "Hide it for good")
    expect(page.get_by_role("tab", name="Connect", exact=True)).to_be_focused()

    (held,) = tenant.get("/credentials")["items"]
    names = ("id", "username", "client_id", "topic_prefix")
    device = Device(password=password, **{name: held[name] for name in names})
    client = device.client()
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    connect(client, stack.nats.ports.mqtt)
    topic = device.topic("devices/boiler-7/telemetry")
    client.publish(topic, '{"temperature": 95}', qos=1).wait_for_publish(30)
    expect(page.get_by_text("The first message has arrived")).to_be_visible()

    keys.reach(page.get_by_role("main").get_by_role("link", name="Live messages"))
    keys.press("Enter")
    visitor.see("Live messages")
    line = page.get_by_role("listitem").get_by_role("button").first
    keys.reach(line)
    keys.press("Enter")
    expect(page.get_by_role("dialog", name="Message")).to_be_visible()
    keys.press("Escape")
    expect(line).to_be_focused()
    keys.reach(page.get_by_role("tab", name="Messages"), "Shift+Tab")
    keys.press("ArrowRight")
    expect(page.get_by_role("button", name="Only devices/boiler-7/telemetry")).to_be_visible()

    keys.go("Devices")
    keys.choose("link", "boiler-7")
    visitor.see("boiler-7")
    keys.reach(page.get_by_role("radio", name="1h"))
    keys.press("ArrowRight")
    expect(page).to_have_url(re.compile("range=6h"))
    keys.choose("button", "Closer")
    expect(page).to_have_url(re.compile("from="))

    keys.go("Alerts")

    def alerted() -> bool:
        """A rule holds for what comes after it is known."""
        client.publish(topic, '{"temperature": 95}', qos=1).wait_for_publish(30)
        return bool(tenant.get("/alerts")["items"])

    eventually_now(alerted, timeout_s=60, every_s=1)
    keys.choose("link", "Too hot")
    visitor.see("Too hot")
    keys.reach(page.get_by_label("Note"))
    keys.type("On my way")
    keys.choose("button", "Acknowledge")
    expect(page.get_by_role("heading", level=1)).to_contain_text("acknowledged")
    expect(page.locator("body")).not_to_be_focused()

    keys.go("Credentials")
    keys.choose("link", "boiler-7")
    visitor.see("boiler-7")
    keys.choose("button", "More actions")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    keys.press("End", "Enter")
    expect(page.get_by_label("Type boiler-7 to confirm")).to_be_focused()
    keys.type("boiler-7")
    keys.choose("button", "Revoke")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Revoked")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("body")).not_to_be_focused()
    eventually_now(lambda: not client.is_connected())
    disconnect(client)
