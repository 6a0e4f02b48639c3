"""History decoded again, by mouse: what would change first, then the change and its progress."""

from __future__ import annotations

import json

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


def test_a_job_is_cancelled_and_says_what_stays(member: Visitor, tenant: Tenant) -> None:
    many = 5000
    lines = [json.dumps({"topic": f"devices/d{n % 20}/telemetry", "payload": {"n": n}}) for n in range(many)]
    headers = {"Content-Type": "application/x-ndjson"}
    for first in range(0, many, 1000):
        body = "\n".join(lines[first : first + 1000])
        assert tenant.http.post("/v1/ingest", content=body, headers=headers).status_code == 202
    eventually_now(lambda: len(list(tenant.all("/telemetry"))) == many, every_s=0.5)
    ordered = {"from": "2026-01-01T00:00:00Z", "decoder": {"name": "raw"}}
    id = tenant.post("/redecode", ordered, expect=202)["id"]
    # So that it is there for as long as somebody looks; before it has begun it cannot be paused.
    eventually_now(lambda: tenant.http.post(f"/v1/redecode/{id}/pause", json={}).status_code == 200)
    member.open("/redecode", "Redecode")
    row = member.page.get_by_role("row").filter(has_text="with raw")
    expect(row.get_by_text("Paused")).to_be_visible()
    row.get_by_role("button", name="Cancel").click()
    expect(row.get_by_text("Cancelled")).to_be_visible()
    expect(row.get_by_text("What was decoded until then stays so; the rest is as it was")).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)
    job = tenant.get(f"/redecode/{id}")
    assert (job["state"], job["messages"] < many) == ("cancelled", True)
    assert sum("n" in row["metrics"] for row in tenant.all("/telemetry")) == many - job["messages"]
