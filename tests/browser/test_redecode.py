"""History decoded again, by mouse: what would change first, then the change and its progress."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from deploy.local.stack import Stack
from tests.support.browser import Visitor
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

pytestmark = pytest.mark.browser


def test_a_dry_run_shows_the_difference_and_the_job_makes_it(
    stack: Stack, member: Visitor, tenant: Tenant
) -> None:
    device = tenant.issue("d1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    topic = device.topic("devices/d1/telemetry")
    client.publish(topic, '{"outer": {"inner": 5}}', qos=1).wait_for_publish(30)
    disconnect(client)
    eventually_now(lambda: tenant.get("/telemetry")["items"])
    member.open("/redecode", "Redecode")
    page = member.page
    page.get_by_role("combobox", name="Decoder").click()
    page.get_by_role("option", name="raw", exact=True).click()
    page.get_by_role("button", name="What would change?").click()
    diff = page.get_by_role("region", name="What would change")
    expect(diff.get_by_text("Removed: 1")).to_be_visible()
    expect(diff.get_by_text("outer.inner")).to_be_visible()
    member.assert_accessible()
    assert tenant.get("/telemetry")["items"]
    page.get_by_role("button", name="Decode again").click()
    expect(
        page.get_by_role("row").filter(has_text="Hosted broker with raw").get_by_text("Done")
    ).to_be_visible()
    assert not [row for row in tenant.get("/telemetry")["items"] if "outer.inner" in row["metrics"]]
    member.assert_accessible()
