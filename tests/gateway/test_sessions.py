"""Connections of a credential over HTTP: seen, ended, and another organization's are not there."""

from __future__ import annotations

import httpx
import pytest

from contracts.connections import DisconnectCredential, ListConnections
from tests.gateway.peers import ALPHA, CREDENTIAL, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_open_connections_are_in_the_statistics(alpha: httpx.AsyncClient, peers: Peers) -> None:
    shown = (await alpha.get(f"/v1/credentials/{CREDENTIAL}/connections")).json()
    assert [each["client_id"] for each in shown["items"]] == ["c"]
    assert (shown["count"], shown["complete"]) == (1, True)
    assert shown["statistics"]["connects"] == 4
    assert shown["statistics"]["messages_in"] == 15
    assert peers.last(ListConnections).organization == ALPHA


@pytest.mark.parametrize("body", [None, {}, {"client_id": "c"}])
async def test_connections_are_ended_all_or_one(
    alpha: httpx.AsyncClient, peers: Peers, body: dict[str, str] | None
) -> None:
    answer = await alpha.post(f"/v1/credentials/{CREDENTIAL}/disconnect", json=body)
    assert (answer.status_code, answer.json()) == (200, {"disconnected": 1})
    command = peers.last(DisconnectCredential)
    assert (command.id, command.client_id) == (CREDENTIAL, (body or {}).get("client_id"))


async def test_another_organization_finds_nothing(beta: httpx.AsyncClient, peers: Peers) -> None:
    assert_problem(await beta.get(f"/v1/credentials/{CREDENTIAL}/connections"), "not_found")
    assert_problem(await beta.post(f"/v1/credentials/{CREDENTIAL}/disconnect"), "not_found")


async def test_whoever_may_read_may_not_disconnect(http: httpx.AsyncClient, peers: Peers) -> None:
    reader = bearer(KEYS.alpha_read)
    assert (await http.get(f"/v1/credentials/{CREDENTIAL}/connections", headers=reader)).status_code == 200
    refused = await http.post(f"/v1/credentials/{CREDENTIAL}/disconnect", headers=reader)
    assert_problem(refused, "scope.missing")
