"""The activity by HTTP: what is asked for, what is refused, the same for its list and its export."""

from __future__ import annotations

import httpx
import pytest

from contracts.telemetry import ListActivity
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALPHAS = bearer(KEYS.alpha)


async def test_a_list_asks_for_what_was_said(http: httpx.AsyncClient, peers: Peers) -> None:
    asked = (
        "kind=link.*&kind=publish.failed&kind=link.*&status=failed&direction=out&device_id=d1&integration_id=int_1"
        "&credential_id=cred_1&actor=key:k&q=a%20b&from=2026-11-21T18:00:00Z&limit=7"
    )
    response = await http.get(f"/v1/activity?{asked}", headers=ALPHAS)
    assert response.status_code == 200, response.text
    [query] = [each for each in peers.asked if isinstance(each, ListActivity)]
    assert query.model_dump(mode="json", exclude_defaults=True) == {
        "organization": ALPHA,
        "limit": 7,
        "kind": ["link.*", "publish.failed"],
        "status": "failed",
        "direction": "out",
        "device_id": "d1",
        "integration_id": "int_1",
        "credential_id": "cred_1",
        "actor": "key:k",
        "q": "a b",
        "from_": "2026-11-21T18:00:00Z",
    }


@pytest.mark.parametrize("path", ["/v1/activity?", "/v1/activity/export?format=csv&"])
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("kind=*", "kind"),
        ("kind=link.up.now", "kind"),
        ("kind=Link", "kind"),
        ("kind=", "kind"),
        ("&".join(f"kind=k{n}" for n in range(21)), "kind"),
        ("status=perhaps", "status"),
        ("direction=up", "direction"),
        ("q=" + "x" * 65, "q"),
        ("actor=a&actor=b", "actor"),
        ("from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "from"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(
    http: httpx.AsyncClient, peers: Peers, path: str, asked: str, field: str
) -> None:
    assert_problem(await http.get(path + asked, headers=ALPHAS), "request.invalid", field)


async def test_an_entry_is_its_organizations(http: httpx.AsyncClient, peers: Peers) -> None:
    assert (await http.get("/v1/activity/a1", headers=ALPHAS)).json()["id"] == "a1"
    assert_problem(await http.get("/v1/activity/a1", headers=bearer(KEYS.beta)), "not_found")
