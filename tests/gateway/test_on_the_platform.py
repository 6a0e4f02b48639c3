"""The same API with the real services behind it, as a newcomer uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from tests.gateway.peers import basic, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.sse import opened
from tests.support.clients import http_client
from tests.support.eventually import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.system]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    addresses = stack.addresses
    async with http_client(addresses.gateway, headers=bearer(addresses.admin_key), timeout=20) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(operator: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A new organization's client, with its first key."""
    created = await operator.post("/v1/organizations", json={"name": "Acme"})
    assert created.status_code == 201, created.text
    headers = bearer(created.json()["api_key"]["secret"])
    async with http_client(operator.base_url, headers=headers, timeout=20) as client:
        yield client


async def test_http_ingest_is_seen_everywhere(tenant: httpx.AsyncClient) -> None:
    async with opened(tenant) as stream:
        body = {"topic": "devices/d1/telemetry", "payload": {"temperature": 21.5}}
        sent = await tenant.post("/v1/ingest", json=body)
        assert sent.status_code == 202
        event = await stream.next()
    assert event is not None
    assert event.id == sent.json()["sequence"]

    async def found() -> list[dict[str, object]]:
        items: list[dict[str, object]] = (await tenant.get("/v1/telemetry")).json()["items"]
        return items

    row = (await eventually(found))[0]
    assert (row["device_id"], row["metrics"]) == ("d1", {"temperature": 21.5})
    assert (await tenant.get("/v1/devices/d1")).json()["latest"]["temperature"]["value"] == 21.5
    message = (await tenant.get("/v1/messages", params={"device_id": "d1"})).json()["items"][0]
    assert (message["sequence"], message["payload"]) == (event.id, '{"temperature":21.5}')
    kinds = [each["kind"] for each in (await tenant.get("/v1/activity")).json()["items"]]
    assert any(kind.startswith(("organization.", "api-key.")) for kind in kinds)


async def test_a_credential_is_issued_once_per_idempotency_key(tenant: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "first"}
    body = {"name": "d1", "device_id": "d1"}
    first = await tenant.post("/v1/credentials", json=body, headers=headers)
    again = await tenant.post("/v1/credentials", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = await tenant.post("/v1/credentials", json={**body, "name": "d2"}, headers=headers)
    assert_problem(other, "idempotency.reused")
    assert len((await tenant.get("/v1/credentials")).json()["items"]) == 1


async def test_a_device_credential_sends_until_it_is_revoked(tenant: httpx.AsyncClient) -> None:
    issued = (await tenant.post("/v1/credentials", json={"name": "d1", "device_id": "d1"})).json()
    device = basic(issued["username"], issued["password"])
    async with http_client(tenant.base_url, headers=device) as client:
        body = {"topic": "devices/d1/telemetry", "payload": {"n": 1}}
        assert (await client.post("/v1/ingest", json=body)).status_code == 202
        elsewhere = await client.post("/v1/ingest", json={**body, "topic": "devices/d2/telemetry"})
        assert_problem(elsewhere, "topic.forbidden", "topic")
        assert (await tenant.post(f"/v1/credentials/{issued['id']}/revoke")).status_code == 204
        refused = await client.post("/v1/ingest", json=body)
        assert refused.status_code == 401


async def test_a_revoked_key_is_refused_by_the_next_request_and_its_stream_ends(
    tenant: httpx.AsyncClient,
) -> None:
    key = (await tenant.post("/v1/api-keys", json={"name": "screen", "scopes": ["read"]})).json()
    async with http_client(tenant.base_url, headers=bearer(key["secret"])) as client:
        assert (await client.get("/v1/devices")).status_code == 200
        assert_problem(await client.post("/v1/credentials", json={}), "scope.missing")
        async with opened(client) as stream:
            assert (await tenant.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
            end = await stream.next()
            assert end is not None
            assert (end.event, end.data["reason"]) == ("end", "key")
            assert await stream.next() is None
        assert_problem(await client.get("/v1/devices"), "key.invalid")


async def test_a_deleted_organization_is_locked_out_at_once(
    operator: httpx.AsyncClient, tenant: httpx.AsyncClient
) -> None:
    organization = (await tenant.post("/v1/credentials", json={"name": "d"})).json()["topic_prefix"]
    assert (await operator.delete(f"/v1/organizations/{organization}")).status_code == 204
    assert_problem(await tenant.get("/v1/devices"), "key.invalid")


async def test_integrations_of_the_real_services(tenant: httpx.AsyncClient) -> None:
    listed = (await tenant.get("/v1/integrations")).json()["items"]
    assert [(each["id"], each["broker_type"]) for each in listed] == [("hosted", "hosted")]
    settings = {"host": "127.0.0.1", "port": 1, "username": "u", "password": "hush-hush"}
    created = await tenant.post("/v1/integrations", json={"name": "plant", "settings": settings})
    assert created.status_code == 201, created.text
    id = created.json()["id"]
    assert "hush" not in created.text
    changed = await tenant.patch(f"/v1/integrations/{id}", json={"settings": {"port": 2}})
    assert changed.json()["settings"]["port"] == 2
    assert changed.json()["has_secrets"] == ["password"]
    for response in (
        await tenant.post("/v1/integrations/test", json={"settings": settings}),
        await tenant.post(f"/v1/integrations/{id}/test"),
    ):
        problem = assert_problem(response, "broker.unreachable")
        assert problem["step"] == "tcp"
    away = await tenant.post(f"/v1/integrations/{id}/publish", json={"topic": "a", "payload": 1})
    assert away.status_code == 502
    sent = await tenant.post(
        "/v1/integrations/hosted/publish",
        json={"topic": "commands/d1/set", "payload": {"on": True}, "qos": 1},
    )
    assert sent.status_code == 200, sent.text
    assert (await tenant.delete(f"/v1/integrations/{id}")).status_code == 204
    assert_problem(await tenant.get(f"/v1/integrations/{id}"), "not_found")


async def test_no_object_of_another_organization_can_be_told_from_a_missing_one(
    operator: httpx.AsyncClient, tenant: httpx.AsyncClient
) -> None:
    other = (await operator.post("/v1/organizations", json={"name": "Other"})).json()
    stranger = bearer(other["api_key"]["secret"])
    issued = (await tenant.post("/v1/credentials", json={"name": "d1", "device_id": "d1"})).json()
    async with http_client(tenant.base_url, headers=stranger) as client:
        bodies = []
        for id in (issued["id"], "cred_0000000000000000", "x"):
            body = assert_problem(await client.get(f"/v1/credentials/{id}"), "not_found")
            del body["trace_id"]
            bodies.append(body)
        assert bodies[0] == bodies[1] == bodies[2]
        assert (await client.get("/v1/telemetry")).json()["items"] == []
