"""Each call's success, and what it asks of the services behind."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from contracts import credentials, integrations, metrics, organizations, publishing, telemetry
from contracts.failures import Refused, Unavailable
from contracts.organizations import PLATFORM
from tests.gateway.peers import ALPHA, BETA, CREDENTIAL, KEYS, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_organization_is_created_listed_and_deleted(
    operator: httpx.AsyncClient, peers: Peers
) -> None:
    created = await operator.post("/v1/organizations", json={"name": "Acme"})
    assert created.status_code == 201
    assert created.json() == {"id": ALPHA, "name": "Acme", "api_key": {"id": "key_new", "secret": KEYS.alpha}}
    asked = peers.last(organizations.CreateOrganization)
    assert (asked.organization, asked.actor, asked.name) == (PLATFORM, "admin", "Acme")
    listed = await operator.get("/v1/organizations")
    assert [each["id"] for each in listed.json()["items"]] == [ALPHA]
    assert (await operator.delete(f"/v1/organizations/{ALPHA}")).status_code == 204
    assert_problem(await operator.delete(f"/v1/organizations/{BETA}"), "not_found")


async def test_the_admin_key_acts_for_an_organization(operator: httpx.AsyncClient, peers: Peers) -> None:
    headers = {"X-Organization": ALPHA}
    assert (await operator.get("/v1/credentials", headers=headers)).status_code == 200
    asked = peers.last(organizations.List)
    assert (asked.organization, asked.actor) == (ALPHA, "admin")
    for wrong in ("org_short", "platform", "org_alpha00000000000.>", ""):
        response = await operator.get("/v1/credentials", headers={"X-Organization": wrong})
        assert_problem(response, "scope.missing")


async def test_a_tenants_key_cannot_act_for_another(alpha: httpx.AsyncClient) -> None:
    response = await alpha.get("/v1/credentials", headers={"X-Organization": BETA})
    assert_problem(response, "scope.missing")


async def test_api_keys(alpha: httpx.AsyncClient, peers: Peers) -> None:
    body = {"name": "ci", "scopes": ["read", "publish", "read"], "expires_at": "2030-01-01T00:00:00+01:00"}
    issued = await alpha.post("/v1/api-keys", json=body)
    assert issued.status_code == 201
    assert issued.json()["secret"].startswith("hmq_key_")
    assert peers.last(organizations.IssueApiKey).scopes == ("read", "publish")
    assert (await alpha.get("/v1/api-keys")).json() == {"items": [], "next_cursor": None}
    assert (await alpha.delete("/v1/api-keys/key_1")).status_code == 204
    assert_problem(await alpha.delete("/v1/api-keys/key_2"), "not_found")
    assert_problem(
        await alpha.post("/v1/api-keys", json={"name": "x", "scopes": ["god"]}), "request.invalid", "scopes.0"
    )
    no_zone = await alpha.post("/v1/api-keys", json={"name": "x", "expires_at": "2030-01-01T00:00:00"})
    assert_problem(no_zone, "request.invalid", "expires_at")


async def test_a_credential_comes_with_all_that_a_device_needs(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    issued = await alpha.post("/v1/credentials", json={"name": "d1", "device_id": "d1"})
    assert issued.status_code == 201
    body = issued.json()
    assert body["username"] == body["id"] == CREDENTIAL
    assert body["password"] == KEYS.device
    assert body["client_id"] == "d1"
    assert body["topic_prefix"] == ALPHA
    assert body["endpoints"]["mqtt"].startswith("mqtt://")
    assert body["endpoints"]["ws"].startswith("ws://")
    assert issued.headers["cache-control"] == "no-store"


async def test_credentials_are_read_and_revoked(alpha: httpx.AsyncClient, peers: Peers) -> None:
    listed = (await alpha.get("/v1/credentials", params={"limit": 7, "cursor": "abc"})).json()
    assert listed["next_cursor"] == "next"
    assert "password" not in listed["items"][0]
    asked = peers.last(organizations.List)
    assert (asked.limit, asked.cursor) == (7, "abc")
    assert (await alpha.get(f"/v1/credentials/{CREDENTIAL}")).json()["id"] == CREDENTIAL
    for body in (None, {}, {"reason": "lost"}):
        assert (await alpha.post(f"/v1/credentials/{CREDENTIAL}/revoke", json=body)).status_code == 204
    assert peers.last(credentials.RevokeCredential).reason == "lost"


async def test_what_is_another_tenants_is_as_if_it_were_not(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    for method, own, body in (
        ("GET", f"/v1/credentials/{CREDENTIAL}", None),
        ("POST", f"/v1/credentials/{CREDENTIAL}/revoke", {}),
        ("GET", "/v1/integrations/int_1", None),
        ("PATCH", "/v1/integrations/int_1", {"name": "mine now"}),
        ("DELETE", "/v1/integrations/int_1", None),
        ("POST", "/v1/integrations/int_1/test", None),
        ("GET", "/v1/devices/d1", None),
        ("DELETE", "/v1/api-keys/key_1", None),
    ):
        foreign = assert_problem(await beta.request(method, own, json=body), "not_found")
        missing = assert_problem(
            await beta.request(method, own.replace("int_1", "int_9").replace("cred_", "cred_x"), json=body),
            "not_found",
        )
        del foreign["trace_id"], missing["trace_id"]
        assert foreign == missing


SETTINGS = {"host": "broker.example", "username": "u", "password": "hush-hush"}


async def test_an_integration_is_created_without_its_secret_in_sight(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    body = {"name": "plant", "broker_type": "external", "settings": SETTINGS}
    created = await alpha.post("/v1/integrations", json=body)
    assert created.status_code == 201
    assert "hush" not in created.text
    assert created.json()["has_secrets"] == ["password"]
    asked = peers.last(integrations.CreateIntegration)
    assert asked.secrets["password"].get_secret_value() == "hush-hush"
    assert asked.topics == ()  # which of them are usual follows from the settings


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"settings": {**SETTINGS, "port": "1883"}}, "settings.port"),
        ({"settings": {**SETTINGS, "port": 70000}}, "settings.port"),
        ({"settings": {"username": "u"}}, "settings.host"),
        ({"settings": {**SETTINGS, "colour": 1}}, "settings.colour"),
        ({"settings": {**SETTINGS, "password": 5}}, "settings.password"),
        ({"topics": [{"filter": "a/#/b"}]}, "topics.0.filter"),
        ({"topics": [{"filter": "a", "qos": 3}]}, "topics.0.qos"),
        ({"topics": [{"filter": "a*b"}]}, "topics.0.filter"),
        ({"broker_type": "hosted"}, "broker_type"),
        ({"name": ""}, "name"),
    ],
)
async def test_the_integrations_field_at_fault_is_named_and_not_quoted(
    alpha: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    response = await alpha.post("/v1/integrations", json={"name": "p", "settings": SETTINGS, **change})
    assert_problem(response, "request.invalid", field)
    assert "hush" not in response.text


async def test_a_change_of_one_setting_leaves_the_others(alpha: httpx.AsyncClient, peers: Peers) -> None:
    response = await alpha.patch("/v1/integrations/int_1", json={"settings": {"port": 1884}})
    assert response.status_code == 200
    asked = peers.last(integrations.ChangeIntegration)
    assert (asked.settings.host, asked.settings.port, asked.settings.username) == (
        "broker.example",
        1884,
        "u",
    )
    assert asked.secrets == {}
    assert (asked.name, asked.topics, asked.decoder) == (None, None, None)
    await alpha.patch("/v1/integrations/int_1", json={"settings": {"password": "new-one"}})
    asked = peers.last(integrations.ChangeIntegration)
    assert asked.settings.username == "u"
    assert asked.secrets["password"].get_secret_value() == "new-one"
    wrong = await alpha.patch("/v1/integrations/int_1", json={"settings": {"port": 0}})
    assert_problem(wrong, "request.invalid", "settings.port")
    hosted = await alpha.patch("/v1/integrations/hosted", json={"settings": {"port": 1}})
    assert_problem(hosted, "integration.hosted")


async def test_integrations_are_listed_read_and_deleted(alpha: httpx.AsyncClient) -> None:
    assert (await alpha.get("/v1/integrations")).status_code == 200
    assert (await alpha.get("/v1/integrations/int_1")).json()["settings"]["host"] == "broker.example"
    assert (await alpha.get("/v1/integrations/hosted")).json()["broker_type"] == "hosted"
    assert (await alpha.delete("/v1/integrations/int_1")).status_code == 204


@pytest.mark.parametrize(
    ("sent", "bytes_out"),
    [
        ({"payload": {"on": True}}, b'{"on":true}'),
        ({"payload": "on"}, b"on"),
        ({"payload": 5}, b"5"),
        ({"payload": None}, b"null"),
        ({"payload_base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff"),
    ],
)
async def test_publish_takes_any_payload(
    alpha: httpx.AsyncClient, peers: Peers, sent: dict[str, Any], bytes_out: bytes
) -> None:
    body = {"topic": "commands/d1/set", "qos": 1, "retain": True, **sent}
    published = await alpha.post("/v1/integrations/hosted/publish", json=body)
    assert published.status_code == 200
    assert published.json()["acknowledged"] is True
    asked = peers.last(publishing.Publish).message
    assert base64.b64decode(asked.payload) == bytes_out
    assert (asked.topic, asked.qos, asked.retain) == (f"{ALPHA}/commands/d1/set", 1, True)


async def test_publish_to_an_own_broker_leaves_the_topic_as_it_is(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    body = {"topic": "plant/line 1", "payload": 1}
    assert (await alpha.post("/v1/integrations/int_1/publish", json=body)).status_code == 200
    assert peers.last(publishing.Publish).message.topic == "plant/line 1"


@pytest.mark.parametrize("topic", ["a/#", "a/+", "", "a\0", "a*", "a>"])
async def test_publish_refuses_a_bad_topic(alpha: httpx.AsyncClient, topic: str) -> None:
    for integration in ("hosted", "int_1"):
        response = await alpha.post(
            f"/v1/integrations/{integration}/publish", json={"topic": topic, "payload": 1}
        )
        assert_problem(response, "topic.invalid", "topic")


async def test_publish_refuses_another_tenants_topic_and_a_large_payload(alpha: httpx.AsyncClient) -> None:
    url = "/v1/integrations/hosted/publish"
    foreign = await alpha.post(url, json={"topic": f"{BETA}/commands/d1/x", "payload": 1})
    assert_problem(foreign, "topic.forbidden", "topic")
    large = await alpha.post(url, json={"topic": "commands/d1/x", "payload": "x" * (256 * 1024 + 1)})
    assert_problem(large, "payload.too_large")
    assert_problem(await alpha.post(url, json={"topic": "commands/d1/x"}), "request.invalid", "payload")


async def test_a_broker_that_is_away_is_a_502(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(
        publishing.PUBLISH_TO_LINK.at(ALPHA, "int_1"),
        Unavailable("link.down", "not connected since 18:00", step="tcp"),
    )
    response = await alpha.post("/v1/integrations/int_1/publish", json={"topic": "a", "payload": 1})
    assert assert_problem(response, "link.down")["step"] == "tcp"


async def test_telemetry_passes_its_filters_on(alpha: httpx.AsyncClient, peers: Peers) -> None:
    query = {
        "device_id": "d1",
        "metric": "temperature",
        "integration_id": "hosted",
        "from": "2026-11-21T18:00:00Z",
        "to": "2026-11-21T20:00:00.123456789+01:00",
        "limit": "1000",
        "cursor": "abc",
    }
    response = await alpha.get("/v1/telemetry", params=query)
    assert response.json()["items"][0]["metrics"] == {
        "temperature": 21.5,
        "open": True,
        "count": 3,
        "mode": "auto",
    }
    asked = peers.last(telemetry.ListTelemetry)
    assert (asked.organization, asked.device_id, asked.metric) == (ALPHA, ("d1",), ("temperature",))
    assert asked.to.isoformat() == "2026-11-21T19:00:00.123456+00:00"
    assert (asked.limit, asked.cursor) == (1000, "abc")


@pytest.mark.parametrize("path", ["/v1/telemetry", "/v1/messages", "/v1/activity"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"from": "2026-11-21T18:00:00"}, "from"),
        ({"to": "yesterday"}, "to"),
        ({"to": "2026-13-21T18:00:00Z"}, "to"),
        ({"from": "2026-11-21T18:00:00Z", "to": "2026-11-21T18:00:00Z"}, "from"),
        ({"cursor": "x" * 600}, "cursor"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"fro": "x"}, "fro"),
    ],
)
async def test_a_query_parameter_at_fault_is_named(
    alpha: httpx.AsyncClient, path: str, query: dict[str, Any], field: str
) -> None:
    assert_problem(await alpha.get(path, params=query), "request.invalid", field)


async def test_a_control_character_in_a_filter_is_refused(alpha: httpx.AsyncClient) -> None:
    assert_problem(await alpha.get("/v1/telemetry?device_id=a%00b"), "request.invalid", "device_id")


async def test_devices_messages_and_activity(alpha: httpx.AsyncClient, peers: Peers) -> None:
    for path in ("/v1/devices", "/v1/messages", "/v1/activity"):
        assert (await alpha.get(path)).json() == {"items": [], "next_cursor": None}
    assert (await alpha.get("/v1/devices/d1")).json()["online"] is True
    await alpha.get("/v1/activity", params={"kind": "device.connected", "status": "ok"})
    asked = peers.last(telemetry.ListActivity)
    assert (asked.kind, asked.status) == (("device.connected",), "ok")


async def test_the_idempotency_key_reaches_the_service_scoped(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient, peers: Peers
) -> None:
    headers = {"Idempotency-Key": "k-1"}
    ids = []
    for client, path, body, kind in (
        (alpha, "/v1/credentials", {"name": "d1"}, credentials.IssueCredential),
        (alpha, "/v1/credentials", {"name": "d1"}, credentials.IssueCredential),
        (beta, "/v1/credentials", {"name": "d1"}, credentials.IssueCredential),
        (alpha, "/v1/api-keys", {"name": "d1"}, organizations.IssueApiKey),
        (alpha, f"/v1/credentials/{CREDENTIAL}/revoke", {}, credentials.RevokeCredential),
    ):
        await client.post(path, json=body, headers=headers)
        ids.append(peers.last(kind).command_id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    await alpha.post("/v1/credentials", json={"name": "d1"})
    assert peers.last(credentials.IssueCredential).command_id is None


@pytest.mark.parametrize(
    "failure",
    [
        Refused("idempotency.reused", "the key stands for another request"),
        Refused("idempotency.running", "wait"),
        Refused("name.taken", "choose another", field="name"),
        Refused("acl.outside", "not yours", field="publish.0"),
        Unavailable("log.unavailable", "try again"),
        Unavailable("internal", "see the service's log"),
    ],
)
async def test_a_failure_behind_becomes_its_problem(
    alpha: httpx.AsyncClient, peers: Peers, failure: Refused
) -> None:
    peers.refuse(credentials.ISSUE_CREDENTIAL, failure)
    response = await alpha.post("/v1/credentials", json={"name": "d1"})
    assert_problem(response, failure.code, failure.field)


async def test_a_defect_behind_says_nothing_of_what_is_inside(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(telemetry.LIST_DEVICES, ValueError("postgresql://user:secret@db"))
    response = await alpha.get("/v1/devices")
    assert_problem(response, "internal")
    assert "secret" not in response.text


async def test_a_metric_is_described_by_its_exact_name(alpha: httpx.AsyncClient, peers: Peers) -> None:
    said = {"unit": "°C", "label": "Flow", "description": None, "kind": "number"}
    names = {
        "temperature": "temperature",
        "Inputs%2Ftemperature": "Inputs/temperature",
        "Inputs/temperature": "Inputs/temperature",
        "a//b/": "a//b/",
        "%2Fa": "/a",
        "%C3%9Cber%20100%25%3F": "Über 100%?",
        "x" * 256: "x" * 256,
    }
    for written, name in names.items():
        answer = await alpha.put(f"/v1/metrics/{written}", json=said)
        assert (answer.status_code, answer.json()) == (200, {"name": name, **said}), written
        asked = peers.last(metrics.DescribeMetric)
        assert (asked.organization, asked.name, asked.unit) == (ALPHA, name, "°C")
        assert (await alpha.delete(f"/v1/metrics/{written}")).status_code == 204
        assert peers.last(metrics.ClearMetric).name == name
    assert_problem(await alpha.put(f"/v1/metrics/{'x' * 257}", json=said), "not_found")
    assert_problem(await alpha.put("/v1/metrics/a%00b", json=said), "not_found")
    assert_problem(await alpha.put("/v1/metrics/a", json={"unit": "x" * 33}), "request.invalid", "unit")
    assert_problem(await alpha.put("/v1/metrics/a", json={"kind": "colour"}), "request.invalid", "kind")
