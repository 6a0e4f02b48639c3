"""Limits over HTTP: shown, set by who may, and held for what comes by HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from contracts.failures import Refused
from contracts.limits import ChangeCredentialLimits, ChangeOrganizationLimits, Limits
from contracts.organizations import PLATFORM, Principal
from contracts.secrets_format import mint
from services.gateway.metering import BURST_S, Metering
from tests.gateway.peers import ALPHA, CREDENTIAL, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_tenant_sees_its_limits_with_their_use(alpha: httpx.AsyncClient, peers: Peers) -> None:
    shown = (await alpha.get("/v1/limits")).json()
    assert shown["items"] == [{"limit": "connections", "allowed": 500, "current": 2.0, "held": ["connect"]}]
    assert (await alpha.get("/v1/limits", params={"credential_id": CREDENTIAL})).status_code == 200


async def test_limits_are_set_by_who_may(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient, operator: httpx.AsyncClient, peers: Peers
) -> None:
    of_credential, of_organization = (
        f"/v1/credentials/{CREDENTIAL}/limits",
        f"/v1/organizations/{ALPHA}/limits",
    )
    assert (await alpha.put(of_credential, json={"connections": 7})).status_code == 200
    assert peers.last(ChangeCredentialLimits).limits == Limits(connections=7)
    assert (await operator.put(of_organization, json={"bytes_per_s": 9})).status_code == 200
    command = peers.last(ChangeOrganizationLimits)
    assert (command.organization, command.id, command.limits) == (PLATFORM, ALPHA, Limits(bytes_per_s=9))

    assert_problem(await alpha.put(of_organization, json={}), "scope.missing")
    assert_problem(await beta.put(of_credential, json={}), "not_found")
    assert_problem(await beta.get("/v1/limits", params={"credential_id": CREDENTIAL}), "not_found")


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", 10**13])
async def test_a_limit_is_a_whole_number_above_nothing(
    alpha: httpx.AsyncClient, peers: Peers, value: Any
) -> None:
    answer = await alpha.put(f"/v1/credentials/{CREDENTIAL}/limits", json={"connections": value})
    assert_problem(answer, "request.invalid", "connections")


async def test_a_message_over_a_limit_is_refused_with_its_name(http: httpx.AsyncClient, peers: Peers) -> None:
    key = mint("key")
    limits = Limits(messages_per_s=1, payload_bytes=100)
    peers.principals[key] = Principal(
        organization="org_limited000000000", actor="key:key_limited", scopes=("publish",), limits=limits
    )

    async def send(payload: str) -> httpx.Response:
        body = {"topic": "devices/d/t", "payload": payload}
        return await http.post("/v1/ingest", json=body, headers=bearer(key))

    assert_problem(await send("x" * 200), "payload.too_large")  # to come again would not help
    problem = (await send("x" * 200)).json()
    assert (problem["limit"], problem["allowed"], problem["current"]) == ("payload_bytes", 100, 202)
    answers = await asyncio.gather(*(send("x") for _ in range(int(BURST_S) + 3)))
    assert {answer.status_code for answer in answers} == {202, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, "limit.reached")
    assert refused.json()["limit"] == "messages_per_s"
    assert refused.headers["retry-after"]
    lines = b"\n".join(b'{"topic":"devices/d/t","payload":1}' for _ in range(3))
    many = await http.post(
        "/v1/ingest", content=lines, headers={**bearer(key), "Content-Type": "application/x-ndjson"}
    )
    assert_problem(many, "limit.reached")
    other = await http.post(
        "/v1/ingest", json={"topic": "devices/d/t", "payload": 1}, headers=bearer(KEYS.alpha)
    )
    assert other.status_code == 202


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_credential_within_its_organizations_limit_has_its_own() -> None:
    clock = Clock()
    metering = Metering(clock=clock)
    caller = Principal(
        organization="org_a",
        actor="device:cred_a",
        scopes=(),
        limits=Limits(messages_per_s=100),
        own_limits=Limits(bytes_per_s=10),
    )
    metering.take(caller, 50)
    with pytest.raises(Refused) as caught:
        metering.take(caller, 5)
    assert caught.value.extra["limit"] == "bytes_per_s"
    clock.now = 1.0
    metering.take(caller, 5)
    metering.take(caller.model_copy(update={"actor": "device:cred_b"}), 40)
