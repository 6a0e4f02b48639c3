"""Alerts as their people see them: every kind of rule opens one and closes it again, on the whole platform."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

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


def test_a_rate_of_change_and_a_tag(tenant: Tenant) -> None:
    tag = {"kind": "tag", "tag": "north"}
    fast = rule(tenant, {"kind": "rate_of_change", "metric": "p", "change": 50, "per_s": 1}, scope=tag)
    tagged = tenant.http.patch("/v1/devices/pump", json={"tags": ["North"]})
    assert tagged.status_code == 200, tagged.text

    def opened() -> list[Any]:
        for value in (0, 1_000_000):
            send(tenant, "pump", p=value)
            send(tenant, "other", p=value)
        return list(tenant.get("/alerts", rule_id=fast)["items"])

    (one,) = eventually_now(opened, timeout_s=60, every_s=0.2)
    assert (one["device_id"], one["metric"]) == ("pump", "p")
    untagged = tenant.http.patch("/v1/devices/pump", json={"tags": []})
    assert untagged.status_code == 200, untagged.text
    assert alert(tenant, fast, "resolved")["reason"] in ("out_of_scope", "recovered")


def test_a_device_that_goes_is_offline_until_it_comes_back(stack: Stack, tenant: Tenant) -> None:
    gone = rule(tenant, {"kind": "offline"})
    device = tenant.issue("walker")

    def came_and_went() -> list[Any]:
        client = device.client()
        connect(client, stack.nats.ports.mqtt)
        disconnect(client)
        return list(tenant.get("/alerts", rule_id=gone)["items"])

    one = eventually_now(came_and_went, timeout_s=60, every_s=1)[-1]
    assert one["device_id"] == "walker"
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    eventually_now(lambda: not tenant.get("/alerts", rule_id=gone, state="open")["items"], timeout_s=60)
    disconnect(client)


def test_an_integration_that_does_not_connect_is_told_by_itself(tenant: Tenant) -> None:
    soon = tenant.http.patch("/v1/alert-rules/links", json={"condition": {"kind": "link", "for_s": 1}})
    assert soon.status_code == 200, soon.text
    settings = {"host": "127.0.0.1", "port": free_port(), "protocol": "mqtt"}
    made = tenant.post("/integrations", {"name": "away", "settings": settings})
    down = alert(tenant, "links", "open")
    assert down["integration_id"] == made["id"]
    off = tenant.http.patch("/v1/alert-rules/links", json={"enabled": False})
    assert off.status_code == 200, off.text
    assert alert(tenant, "links", "resolved")["reason"] == "rule_disabled"
    assert tenant.http.delete("/v1/alert-rules/links").json()["code"] == "alert_rule.built_in"


def test_what_does_not_come_and_what_comes_too_often(stack: Stack, tenant: Tenant) -> None:
    send(tenant, "quiet", t=1)
    named = {"kind": "devices", "device_ids": ["quiet"]}
    silent = rule(tenant, {"kind": "no_data", "for_s": 10}, scope=named)
    once = {"window_s": 10}  # and a cooldown: on a slow machine a window may pass between two tries
    refused = rule(tenant, {"kind": "refused_connects", "count": 1, **once}, cooldown_s=3600)
    letters = rule(tenant, {"kind": "dead_letters", "count": 2, **once}, cooldown_s=3600)
    device = tenant.issue("stranger")

    def told() -> bool:
        client = device.client()
        client.username_pw_set(device.username, "wrong")
        with suppress(ConnectionRefusedError):
            connect(client, stack.nats.ports.mqtt)
        broken = {"topic": "devices/d1/telemetry", "payload_base64": "e2Jyb2tlbg=="}
        tenant.http.post("/v1/ingest", json=broken)
        return all(tenant.get("/alerts", rule_id=id)["items"] for id in (refused, letters))

    eventually_now(told, timeout_s=60, every_s=0.5)
    for id in (refused, letters):
        over = alert(tenant, id, "resolved")
        assert tenant.get(f"/alerts/{over['id']}")["history"][1]["evidence"]["count"] < 2
    assert alert(tenant, silent, "open")["evidence"]["limit_s"] == 10
    send(tenant, "quiet", t=1)
    assert alert(tenant, silent, "resolved")["reason"] == "recovered"


def test_somebody_acknowledges_once_and_the_activity_has_it_all(tenant: Tenant) -> None:
    hot = rule(tenant, {"kind": "threshold", "metric": "h", "operator": ">", "value": 1})

    def opened() -> list[Any]:
        send(tenant, "seen", h=2)
        return list(tenant.get("/alerts", rule_id=hot)["items"])

    (one,) = eventually_now(opened, timeout_s=60, every_s=0.2)
    path = f"/alerts/{one['id']}/acknowledge"
    known = tenant.post(path, {"note": "on my way"}, expect=200)
    assert known["state"] == "acknowledged"
    assert tenant.post(path, {"note": "me too"}, expect=200)["history"][1]["note"] == "on my way"
    assert alert(tenant, hot, "acknowledged")["acknowledged_by"].startswith("key:")
    assert [each["id"] for each in tenant.get("/alerts", rule_id=hot, state="unresolved")["items"]] == [
        one["id"]
    ]
    over = tenant.post(f"/alerts/{one['id']}/resolve", {}, expect=200)
    assert (over["state"], over["reason"]) == ("resolved", "resolved_by_hand")
    assert tenant.get("/alerts", rule_id=hot, state="unresolved")["items"] == []
    assert tenant.post(path, {}, expect=409)["code"] == "alert.resolved"
    send(tenant, "seen", h=3)  # it goes on: a person said that it is over
    send(tenant, "seen", h=0)

    def kinds() -> set[str]:
        held = tenant.get("/activity")["items"]
        return {row["kind"] for row in held if row["subject"] == f"alert:{one['id']}"}

    wanted = {"alert.opened", "alert.acknowledged", "alert.resolved"}
    assert eventually_now(lambda: kinds() >= wanted, timeout_s=60)
    assert len(tenant.get("/alerts", rule_id=hot)["items"]) == 1


def test_another_organization_sees_and_touches_nothing(
    tenant: Tenant, new_tenant: Callable[[str], Tenant]
) -> None:
    other = new_tenant("Other")
    id = tenant.get("/alerts")["items"][0]["id"]
    own = tenant.get("/alert-rules")["items"][-1]["id"]
    assert other.get("/alerts")["items"] == []
    assert [each["id"] for each in other.get("/alert-rules")["items"]] == ["links"]
    assert other.get("/alert-rules/links")["enabled"]
    for method, path in (
        ("GET", f"/alerts/{id}"),
        ("POST", f"/alerts/{id}/acknowledge"),
        ("POST", f"/alerts/{id}/resolve"),
        ("GET", f"/alert-rules/{own}"),
        ("PATCH", f"/alert-rules/{own}"),
        ("DELETE", f"/alert-rules/{own}"),
    ):
        body = {"name": "mine"} if method == "PATCH" else None
        assert other.http.request(method, f"/v1{path}", json=body).status_code == 404, path
    assert tenant.get(f"/alert-rules/{own}")["name"] != "mine"


def test_a_deleted_rule_takes_its_alerts_along(tenant: Tenant) -> None:
    hot = rule(tenant, {"kind": "threshold", "metric": "x", "operator": ">", "value": 1})

    def opened() -> list[Any]:
        send(tenant, "z", x=2)
        return list(tenant.get("/alerts", rule_id=hot)["items"])

    eventually_now(opened, timeout_s=60, every_s=0.2)
    assert tenant.http.delete(f"/v1/alert-rules/{hot}").status_code == 204
    assert alert(tenant, hot, "resolved")["reason"] == "rule_deleted"
    assert tenant.http.get(f"/v1/alert-rules/{hot}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"condition": {"kind": "threshold", "metric": "t", "operator": ">", "value": 1, "for_s": 10**12}},
         "condition.for_s"),
        ({"condition": {"kind": "threshold", "metric": "t", "operator": "!", "value": 1}}, "condition.operator"),
        ({"condition": {"kind": "threshold", "metric": "", "operator": ">", "value": 1}}, "condition.metric"),
        ({"condition": {"kind": "no_data", "for_s": 1}}, "condition.for_s"),
        ({"condition": {"kind": "dead_letters", "count": 0, "window_s": 60}}, "condition.count"),
        ({"condition": {"kind": "surprise"}}, "condition"),
        ({"condition": {"kind": "link"}, "scope": {"kind": "tag", "tag": "x"}}, "scope"),
        ({"condition": {"kind": "offline"}, "scope": {"kind": "devices", "device_ids": []}}, "scope.device_ids"),
        ({"condition": {"kind": "offline"}, "scope": {"kind": "devices", "device_ids": ["d"] * 101}},
         "scope.device_ids"),
        ({"condition": {"kind": "offline"}, "cooldown_s": -1}, "cooldown_s"),
        ({"condition": {"kind": "offline"}, "severity": "apocalypse"}, "severity"),
    ],
)  # fmt: skip
def test_a_hostile_rule_is_refused_by_the_field(tenant: Tenant, wrong: dict[str, Any], field: str) -> None:
    problem = tenant.post("/alert-rules", {"name": "hostile", **wrong}, expect=422)
    assert problem["code"] == "request.invalid"
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_number_is_no_limit(tenant: Tenant, number: str) -> None:
    body = (
        '{"name": "hostile", "condition": {"kind": "threshold", "metric": "t", "operator": ">",'
        f' "value": {number}}}}}'
    )
    headers = {"Content-Type": "application/json"}
    answer = tenant.http.post("/v1/alert-rules", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text


def test_a_preview_says_what_a_rule_would_have_done_with_ones_own_readings(
    tenant: Tenant, new_tenant: Callable[[str], Tenant]
) -> None:
    now = datetime.now(UTC)

    def sent(who: Tenant, values: Iterable[float], device: str = "kiln") -> None:
        """One a minute, until a minute ago."""
        values = list(values)
        for ago, value in zip(range(len(values), 0, -1), values, strict=True):
            measured = (now - timedelta(minutes=ago)).isoformat()
            send(who, device, ts=measured, w=value, on=value > 85)

    rival = new_tenant("Rival")
    sent(tenant, [70, 90, 90, 90, 70, 99])
    sent(rival, [500] * 6)
    tenant.http.patch("/v1/devices/kiln", json={"tags": ["hot"]})

    def tried(who: Tenant = tenant, **wishes: Any) -> dict[str, Any]:
        condition = {"kind": "threshold", "metric": "w", "operator": ">", "value": 80, "for_s": 60}
        return who.post("/alert-rules/preview", {"condition": condition, **wishes}, expect=200)

    eventually_now(lambda: tried()["judged"] == 6 and tried(rival)["judged"] == 6)
    found = tried()
    assert (found["opened"], found["complete"], found["devices"]) == (2, True, ["kiln"])
    newest, oldest = found["items"]
    assert newest["resolved_at"] is None
    assert datetime.fromisoformat(oldest["opened_at"]) == now - timedelta(minutes=4)
    assert datetime.fromisoformat(oldest["resolved_at"]) == now - timedelta(minutes=2)
    assert tried(rival)["opened"] == 1
    for scope, opened in (
        ({"kind": "tag", "tag": "hot"}, 2),
        ({"kind": "tag", "tag": "cold"}, 0),
        ({"kind": "devices", "device_ids": ["kiln", "never"]}, 2),
    ):
        assert tried(scope=scope)["opened"] == opened
        assert tried(rival, scope=scope)["opened"] == (scope["kind"] == "devices")
    for condition, opened in (
        ({"kind": "threshold", "metric": "on", "operator": ">=", "value": 1}, 2),
        ({"kind": "rate_of_change", "metric": "w", "change": 25, "per_s": 60}, 1),
        ({"kind": "threshold", "metric": "no-such", "operator": ">", "value": 1}, 0),
    ):
        assert tried(condition=condition)["opened"] == opened
    silent = {"kind": "devices", "device_ids": ["never"]}
    for condition in ({"kind": "no_data", "for_s": 60}, {"kind": "no_data", "for_s": 60, "metric": "w"}):
        assert tried(condition=condition, scope=silent)["opened"] == 1
    assert tenant.get("/alerts", device_id="kiln")["items"] == []  # nothing was told


def test_a_preview_looks_at_dead_letters_links_and_refused_connects(stack: Stack, tenant: Tenant) -> None:
    broken = {"topic": "devices/d1/telemetry", "payload_base64": "e2Jyb2tlbg=="}
    for _ in range(2):
        assert tenant.http.post("/v1/ingest", json=broken).status_code == 202
    client = tenant.issue("stranger").client()
    client.username_pw_set(client.username, "wrong")
    with suppress(ConnectionRefusedError):
        connect(client, stack.nats.ports.mqtt)

    def tried(**condition: Any) -> dict[str, Any]:
        return tenant.post("/alert-rules/preview", {"condition": condition}, expect=200)

    eventually_now(lambda: tried(kind="dead_letters", count=2, window_s=600)["opened"] == 1, timeout_s=60)
    eventually_now(lambda: tried(kind="refused_connects", count=1, window_s=600)["opened"] == 1, timeout_s=60)
    assert tried(kind="link", states=["down"])["opened"] == 0
    refused = tenant.post("/alert-rules/preview", {"condition": {"kind": "offline"}}, expect=422)
    assert refused["errors"][0]["field"] == "condition.kind"
