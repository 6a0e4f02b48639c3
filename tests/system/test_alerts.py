"""Alerts as their people see them: every kind of rule opens one and closes it again, on the whole platform."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system


def rule(tenant: Tenant, condition: dict[str, Any], **fields: Any) -> str:
    """Its id, once it holds: telemetry hears of it a moment after it is answered."""
    made = tenant.post("/alert-rules", {"name": f"r{uuid.uuid4().hex[:8]}", "condition": condition, **fields})
    return str(made["id"])


def send(tenant: Tenant, device: str, **values: Any) -> None:
    answer = tenant.http.post("/v1/ingest", json={"topic": f"devices/{device}/telemetry", "payload": values})
    assert answer.status_code == 202, answer.text


def alert(tenant: Tenant, rule: str, state: str, **more: Any) -> dict[str, Any]:
    """The one alert of a rule, once there is one in this state."""

    def found() -> list[dict[str, Any]]:
        held: list[dict[str, Any]] = tenant.get("/alerts", rule_id=rule, state=state, **more)["items"]
        return held

    (one,) = eventually_now(found, timeout_s=60)
    return one


def test_a_threshold_opens_once_and_is_over_behind_its_hysteresis(stack: Stack, tenant: Tenant) -> None:
    hot = rule(
        tenant,
        {"kind": "threshold", "metric": "t", "operator": ">", "value": 80, "hysteresis": 5},
        severity="critical",
    )

    def opened() -> list[Any]:
        send(tenant, "boiler", t=83.5)
        return list(tenant.get("/alerts", rule_id=hot)["items"])

    (one,) = eventually_now(opened, timeout_s=60, every_s=0.2)
    assert (one["state"], one["severity"], one["device_id"]) == ("open", "critical", "boiler")
    assert one["evidence"]["value"] == 83.5
    send(tenant, "boiler", t=78)  # within the band: nothing changes
    send(tenant, "boiler", t=90)
    send(tenant, "boiler", t=74)
    over = alert(tenant, hot, "resolved")
    assert over["id"] == one["id"]
    history = tenant.get(f"/alerts/{one['id']}")["history"]
    assert [step["event"] for step in history] == ["opened", "resolved"]
    assert history[1]["evidence"]["value"] == 74
