"""What a key may not do is absent, or explained: no page that is offered asks for what is then refused."""

from __future__ import annotations

import pytest
from playwright.sync_api import Response, expect

from tests.support.browser import Visitor
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser

CONNECT = {"manage_credentials": ["Credentials"], "manage_integrations": ["Integrations", "Webhooks"]}
OFFERED = {
    "publish": ["Overview"],
    "manage_alerts": ["Overview", "Alerts"],
    **{scope: ["Overview", *pages] for scope, pages in CONNECT.items()},
}


def key_of(tenant: Tenant, *scopes: str) -> str:
    secret: str = tenant.post("/api-keys", {"name": "narrow", "scopes": list(scopes)})["secret"]
    return secret


@pytest.mark.parametrize("scope", OFFERED)
def test_a_key_of_one_scope_is_offered_what_it_may_see(visitor: Visitor, tenant: Tenant, scope: str) -> None:
    tenant.issue("boiler-7")
    refused: list[str] = []

    def note(response: Response) -> None:
        if response.status == 403:
            refused.append(f"{visitor.page.url}: {response.url}")

    visitor.page.on("response", note)
    visitor.enter(key_of(tenant, scope))
    links = visitor.page.get_by_role("navigation", name="Pages").get_by_role("link")
    expect(links).to_have_text(OFFERED[scope])
    for page in OFFERED[scope]:
        links.get_by_text(page, exact=True).click()
        visitor.see(page)
        expect(visitor.page.get_by_role("status", name="Loading")).to_have_count(0)
        for tab in visitor.page.get_by_role("tab").all():
            tab.click()
            expect(visitor.page.get_by_role("status", name="Loading")).to_have_count(0)
    assert not refused


def test_a_link_to_what_the_key_may_not_see_says_which_scope_it_takes(
    visitor: Visitor, tenant: Tenant
) -> None:
    visitor.enter(key_of(tenant, "manage_credentials"))
    for path, title in (("/devices/boiler-7", "Devices"), ("/api-keys", "API keys")):
        visitor.open(path, title)
        expect(visitor.page.get_by_text("Your key may not see this")).to_be_visible()
        expect(visitor.page.get_by_text("yours has manage_credentials")).to_be_visible()
    visitor.assert_accessible()
    visitor.page.get_by_role("link", name="To the overview").click()
    visitor.see("Overview")
    expect(visitor.page.get_by_text("Your key may issue, rotate and revoke credentials")).to_be_visible()
