"""A credential's life by HTTP: what is asked of the credentials service, and what nobody gets to ask."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts import credentials, organizations
from contracts.failures import Refused
from tests.gateway.peers import CREDENTIAL, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = f"/v1/credentials/{CREDENTIAL}"


async def test_it_gets_another_name(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.patch(URL, json={"name": "pump"})).json()["name"] == "pump"
    assert_problem(await alpha.patch(URL, json={"name": ""}), "request.invalid")
    assert_problem(await alpha.patch(URL, json={}), "request.invalid")


async def test_a_rotation_shows_the_new_password_and_where_to_connect(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    answer = await alpha.post(f"{URL}/rotate", json={"grace_seconds": 60})
    assert answer.status_code == 200
    assert answer.json()["password"].startswith("hmq_dev_")
    assert answer.json()["endpoints"]["mqtt"].startswith("mqtt://")
    assert peers.last(credentials.RotateCredential).grace_seconds == 60
    await alpha.post(f"{URL}/rotate")
    assert peers.last(credentials.RotateCredential).grace_seconds == 0
    for wrong in (-1, 604_801, "60", 1.5):
        assert_problem(await alpha.post(f"{URL}/rotate", json={"grace_seconds": wrong}), "request.invalid")


async def test_what_is_revoked_is_not_rotated(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(credentials.ROTATE_CREDENTIAL, Refused("credential.revoked", "issue a new credential"))
    response = await alpha.post(f"{URL}/rotate")
    assert_problem(response, "credential.revoked")
    assert response.status_code == 409


async def test_filters_are_changed_one_side_at_a_time(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.put(f"{URL}/acl", json={"publish": ["devices/{device_id}/#"]})).status_code == 200
    asked = peers.last(credentials.ChangeAcl)
    assert (asked.publish, asked.subscribe) == (("devices/{device_id}/#",), None)
    assert (await alpha.put(f"{URL}/acl", json={"subscribe": []})).status_code == 200
    assert peers.last(credentials.ChangeAcl).subscribe == ()
    for wrong in ({}, {"publish": None}, {"publish": "devices/#"}, {"publish": ["a"] * 51}):
        assert_problem(await alpha.put(f"{URL}/acl", json=wrong), "request.invalid")


async def test_its_end_is_set_moved_and_taken_away(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.put(f"{URL}/expiry", json={"expires_at": "2030-01-01T01:00:00+01:00"})
    assert answer.json()["expires_at"] == "2030-01-01T00:00:00Z"
    assert (await alpha.put(f"{URL}/expiry", json={"expires_at": None})).status_code == 200
    assert peers.last(credentials.ChangeExpiry).expires_at is None
    early = "0001-01-01T00:00:00+01:00"  # before the first year in UTC
    wrongs: list[dict[str, Any]] = [
        {},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": 0},
        {"expires_at": early},
    ]
    for wrong in wrongs:
        assert_problem(await alpha.put(f"{URL}/expiry", json=wrong), "request.invalid")
    peers.refuse(credentials.CHANGE_EXPIRY, Refused("expiry.past", "", field="expires_at"))
    assert_problem(await alpha.put(f"{URL}/expiry", json={"expires_at": None}), "expiry.past")


async def test_a_list_is_searched_and_turned_around(alpha: httpx.AsyncClient, peers: Peers) -> None:
    found = await alpha.get("/v1/credentials", params={"q": "boil", "state": "active", "sort": "-created_at"})
    assert found.status_code == 200
    asked = peers.last(credentials.ListCredentials)
    assert (asked.q, asked.state, asked.sort) == ("boil", "active", "-created_at")
    for wrong in ({"state": "asleep"}, {"sort": "name"}, {"q": "x" * 101}):
        assert_problem(await alpha.get("/v1/credentials", params=wrong), "request.invalid")


async def test_it_is_asked_what_is_allowed(alpha: httpx.AsyncClient, peers: Peers) -> None:
    asked = {"action": "publish", "topic": "devices/d1/x"}
    answer = await alpha.get(f"{URL}/acl/check", params=asked)
    assert answer.json()["allowed"] is True
    assert answer.json()["filter"].endswith("/devices/d1/#")
    wrongs: list[dict[str, str]] = [{**asked, "action": "read"}, {"action": "publish"}, {"topic": "x"}]
    for wrong in wrongs:
        assert_problem(await alpha.get(f"{URL}/acl/check", params=wrong), "request.invalid")


async def test_its_history_as_of_a_time(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.get(f"{URL}/history", params={"at": "2026-11-21T18:00:00Z", "limit": 5})
    assert answer.json()["items"][0]["actor"] == "key:k"
    asked = peers.last(credentials.GetHistory)
    assert asked.at is not None
    assert asked.limit == 5
    assert_problem(await alpha.get(f"{URL}/history", params={"at": "yesterday"}), "request.invalid")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"name": "x"}),
        ("POST", "/rotate", {}),
        ("PUT", "/acl", {"publish": []}),
        ("PUT", "/expiry", {"expires_at": None}),
        ("GET", "/acl/check?action=publish&topic=x", None),
        ("GET", "/history", None),
    ],
)
async def test_anothers_is_not_there(
    beta: httpx.AsyncClient, peers: Peers, method: str, path: str, body: Any
) -> None:
    assert_problem(await beta.request(method, URL + path, json=body), "not_found")


async def test_one_api_key(alpha: httpx.AsyncClient, beta: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.get("/v1/api-keys/key_1")).json()["name"] == "ci"
    assert_problem(await beta.get("/v1/api-keys/key_1"), "not_found")


async def test_the_admin_key_is_rotated_by_the_operator_alone(
    operator: httpx.AsyncClient, alpha: httpx.AsyncClient, peers: Peers
) -> None:
    answer = await operator.post("/v1/admin-key/rotate", json={"grace_seconds": 60})
    assert answer.json()["secret"].startswith("hmq_admin_")
    assert peers.last(organizations.RotateAdminKey).grace_seconds == 60
    assert_problem(await alpha.post("/v1/admin-key/rotate"), "scope.missing")
    assert_problem(
        await operator.post("/v1/admin-key/rotate", json={"grace_seconds": 86_401}), "request.invalid"
    )
