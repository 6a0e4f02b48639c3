"""What holds for each page, whatever it shows."""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from deploy.local.console import DIST
from tests.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser

FIRST_PAGE_BYTES_MAX = 250 * 1000
PHONE = {"width": 390, "height": 844}
# Address and heading of every page that needs no object; those of an object have tests of their own.
PAGES = [
    ("/", "Overview"),
    ("/credentials", "Credentials"),
    ("/credentials/import", "Many credentials from a file"),
    ("/dead-letters", "Dead letters"),
    ("/activity", "Activity"),
    ("/alerts", "Alerts"),
    ("/alerts?tab=rules", "Alerts"),
    ("/webhooks", "Webhooks"),
    ("/api-keys", "API keys"),
    ("/limits", "Limits and usage"),
    ("/data", "Stored data"),
    ("/alerts?tab=rules&rule=new", "Alerts"),
    ("/redecode", "Redecode"),
    ("/integrations", "Integrations"),
    ("/integrations/new", "Connect a broker"),
    ("/devices", "Devices"),
    ("/live", "Live messages"),
]


@pytest.mark.parametrize(("path", "heading"), PAGES, ids=[path for path, _ in PAGES])
def test_a_page_is_accessible_and_fits_the_window(
    visit: Visit, tenant: Tenant, path: str, heading: str
) -> None:
    tenant.issue("boiler-7")
    for options in ({}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}):
        with visit(**options) as visitor:
            visitor.enter(tenant.key, path, heading)
            expect(visitor.page.get_by_role("status", name="Loading")).to_have_count(0)
            visitor.assert_accessible()
            visitor.assert_fits()


def test_the_first_page_is_small(visitor: Visitor, tenant: Tenant) -> None:
    """All that is loaded until the overview stands, as gzip sends it."""
    visitor.sign_in(tenant.key)
    asked: list[str] = []
    visitor.page.on("response", lambda response: asked.append(urlsplit(response.url).path))
    visitor.open("/", "Overview")
    expect(visitor.page.get_by_role("status", name="Loading")).to_have_count(0)
    names = {path.removeprefix("/console/") or "index.html" for path in asked if path.startswith("/console")}
    files = [DIST / name for name in names if (DIST / name).is_file()]
    sizes = {file.name: min(len(gzip.compress(file.read_bytes())), file.stat().st_size) for file in files}
    assert len(sizes) > 4
    assert sum(sizes.values()) <= FIRST_PAGE_BYTES_MAX, sizes


def test_an_unknown_address_says_so_and_leads_back(member: Visitor) -> None:
    member.open("/no/such/page")
    member.page.get_by_role("link", name="To the overview").click()
    member.see("Overview")


def test_a_letter_or_two_lead_to_a_page(member: Visitor) -> None:
    member.page.keyboard.press("Control+k")
    member.page.get_by_role("combobox", name="Go to a page").fill("passw")
    member.page.keyboard.press("Enter")
    member.see("Credentials")


def test_the_content_security_policy_is_in_force(member: Visitor) -> None:
    ran = member.page.evaluate(
        """async () => {
            const broken = [];
            addEventListener("securitypolicyviolation", (event) => broken.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.head.append(script);
            const style = document.createElement("style");
            style.textContent = "body { display: none }";
            document.head.append(style);
            const picture = new Image();
            picture.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
            const elsewhere = await fetch("https://example.invalid/").then(() => "sent", () => "refused");
            await new Promise((resolve) => setTimeout(resolve, 300));
            return {broken: broken.sort(), ran: window.ran === true, hidden: style.sheet !== null, elsewhere};
        }"""
    )
    assert not ran["ran"]
    assert not ran["hidden"]
    assert ran["elsewhere"] == "refused"
    assert {"script-src-elem", "style-src-elem", "img-src", "connect-src"} <= set(ran["broken"])
    member.faults.clear()  # this test caused them


def test_the_colours_that_somebody_chose_stay(member: Visitor) -> None:
    member.page.get_by_role("button", name="Dark colours").first.click()
    expect(member.page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    member.open("/", "Overview")
    expect(member.page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
