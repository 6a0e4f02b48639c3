"""Devices by HTTP: what is asked for, what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts.devices import DescribeDevice
from contracts.telemetry import ListDevices
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALPHAS = bearer(KEYS.alpha)


async def test_a_list_asks_for_what_was_said(http: httpx.AsyncClient, peers: Peers) -> None:
    asked = (
        "q=Pump%20b&online=false&tag=%20Floor%20%203&tag=b&integration_id=hosted&hidden=all&sort=-last_seen"
        "&last_seen_from=2026-11-21T18:00:00Z&last_seen_to=2026-11-22T18:00:00%2B01:00&limit=7"
    )
    response = await http.get(f"/v1/devices?{asked}", headers=ALPHAS)
    assert response.status_code == 200
    [query] = [each for each in peers.asked if isinstance(each, ListDevices)]
    said = query.model_dump(mode="json", exclude_defaults=True)
    assert said == {
        "organization": ALPHA,
        "limit": 7,
        "q": "Pump b",
        "online": False,
        "tag": ["b", "floor 3"],
        "integration_id": "hosted",
        "seen_from": "2026-11-21T18:00:00Z",
        "seen_to": "2026-11-22T17:00:00Z",
        "sort": "-last_seen",
    }


async def test_hidden_devices_are_left_out_where_nobody_asks(http: httpx.AsyncClient, peers: Peers) -> None:
    await http.get("/v1/devices", headers=ALPHAS)
    [query] = [each for each in peers.asked if isinstance(each, ListDevices)]
    assert query.hidden is False


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("sort=colour", "sort"),
        ("hidden=perhaps", "hidden"),
        ("online=yes", "online"),
        ("online=", "online"),
        ("tag=a%2Cb", "tag"),
        ("tag=", "tag"),
        ("&".join(f"tag=t{n}" for n in range(11)), "tag"),
        ("q=" + "x" * 65, "q"),
        ("last_seen_from=yesterday", "last_seen_from"),
        ("last_seen_to=2026-11-21", "last_seen_to"),
        ("last_seen_from=2026-11-22T18:00:00Z&last_seen_to=2026-11-21T18:00:00Z", "last_seen_from"),
        ("q=a&q=b", "q"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(
    http: httpx.AsyncClient, peers: Peers, asked: str, field: str
) -> None:
    assert_problem(await http.get(f"/v1/devices?{asked}", headers=ALPHAS), "request.invalid", field)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "Boiler"}, {"name": "Boiler"}),
        ({"name": None}, {"name": ""}),
        ({"tags": ["B", " a"]}, {"tags": ("a", "b")}),
        ({"metadata": {}}, {"metadata": {}}),
        ({"hidden": False}, {"hidden": False}),
        ({}, {}),
    ],
    ids=str,
)
async def test_a_change_says_what_it_says_and_no_more(
    http: httpx.AsyncClient, peers: Peers, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    headers = {**ALPHAS, "Idempotency-Key": "k"}
    response = await http.patch("/v1/devices/boiler%207%3E", json=body, headers=headers)
    assert response.status_code == 200, response.text
    [command] = [each for each in peers.asked if isinstance(each, DescribeDevice)]
    assert (command.device_id, command.organization, bool(command.command_id)) == ("boiler 7>", ALPHA, True)
    changed = ("name", "tags", "metadata", "hidden")
    assert {f: v for f in changed if (v := getattr(command, f)) is not None} == expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"tags": "a"}, "tags"),
        ({"tags": ["a", 5]}, "tags.1"),
        ({"tags": ["a,b"]}, "tags"),
        ({"tags": [f"t{n}" for n in range(33)]}, "tags"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 4100}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"hidden": "yes"}, "hidden"),
        ({"id": "other"}, "id"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_change_that_cannot_be_is_named(
    http: httpx.AsyncClient, peers: Peers, body: dict[str, Any], field: str
) -> None:
    assert_problem(await http.patch("/v1/devices/d1", json=body, headers=ALPHAS), "request.invalid", field)
    assert not [each for each in peers.asked if isinstance(each, DescribeDevice)]


@pytest.mark.parametrize(
    ("written", "id"),
    [
        ("site%2F7", "site/7"),
        ("a%2fb%2Fc", "a/b/c"),
        ("site%252F7", "site%2F7"),
        ("100%25%2Fx", "100%/x"),
        ("%2F", "/"),
        ("%C3%A9%2F%2E%2E%2Fx", "é/../x"),
        ("~.", "."),
        ("~..", ".."),
        ("~~..", "~.."),
        ("~...", "~..."),
        ("~x", "~x"),
        ("..%2F", "../"),
    ],
)
async def test_an_id_may_hold_what_parts_a_path(
    http: httpx.AsyncClient, peers: Peers, written: str, id: str
) -> None:
    for _ in range(2):  # the router keeps what it found
        response = await http.patch(f"/v1/devices/{written}", json={"name": "x"}, headers=ALPHAS)
        assert response.status_code == 200, response.text
    assert [each.device_id for each in peers.asked if isinstance(each, DescribeDevice)] == [id, id]


async def test_an_encoded_slash_leads_to_no_other_route(http: httpx.AsyncClient, peers: Peers) -> None:
    for path in ("/v1%2Fdevices", "/v1/devices%2Fd1", "/v1/devices/d1%2Fcommands%2Fcmd_1"):
        response = await http.get(path, headers=ALPHAS)
        assert response.status_code == 404, path
    assert (await http.get("/v1/devices/d1/commands%2Fcmd_1", headers=ALPHAS)).status_code == 404


async def test_an_id_that_no_device_has_is_a_missing_device(http: httpx.AsyncClient, peers: Peers) -> None:
    for id in ("x" * 129, "a%00", "a%0a"):
        assert_problem(await http.patch(f"/v1/devices/{id}", json={}, headers=ALPHAS), "not_found")
