"""Links over HTTP: their status from whoever owns them, paused, resumed, watched; nobody else's."""

from __future__ import annotations

import time

import httpx
import pytest

from contracts.failures import Unavailable
from contracts.links import GET_STATUS, PauseIntegration, ResumeIntegration, WatchIntegration
from contracts.telemetry import ListActivity
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
STATUS = "/v1/integrations/int_1/status"


async def test_the_status_is_the_owners(alpha: httpx.AsyncClient) -> None:
    answer = await alpha.get(STATUS)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["owner"]) == ("up", "ingest-1")


async def test_a_link_that_nobody_owns_says_so(alpha: httpx.AsyncClient, peers: Peers) -> None:
    call = GET_STATUS.at(ALPHA, "int_1")
    peers.refuse(call, Unavailable("link.down", "the link is ending"))
    try:
        answer = await alpha.get(STATUS)
    finally:
        del peers.answers[call.subject]
    assert answer.status_code == 200
    held = answer.json()
    assert (held["state"], held["reason"], held["owner"]) == ("connecting", "link.down", None)


async def test_another_tenants_link_is_not_there(beta: httpx.AsyncClient) -> None:
    begun = time.monotonic()
    assert_problem(await beta.get(STATUS), "not_found")
    assert time.monotonic() - begun < 2, "nobody answers for it: the caller is told at once"


@pytest.mark.parametrize("id", ["*", "%3E", "a.b", "int_1.status", "x" * 65, "int%201"])
async def test_what_is_no_id_reaches_no_subject(alpha: httpx.AsyncClient, id: str) -> None:
    assert_problem(await alpha.get(f"/v1/integrations/{id}/status"), "not_found")


async def test_the_hosted_broker_has_no_link(alpha: httpx.AsyncClient) -> None:
    assert_problem(await alpha.get("/v1/integrations/hosted/status"), "integration.hosted")


async def test_a_link_is_paused_resumed_and_watched(alpha: httpx.AsyncClient, peers: Peers) -> None:
    for verb, kind in (("pause", PauseIntegration), ("resume", ResumeIntegration)):
        answer = await alpha.post(f"/v1/integrations/int_1/{verb}")
        assert answer.status_code == 200, answer.text
        asked = peers.last(kind)
        assert (asked.organization, asked.id) == (ALPHA, "int_1")
    answer = await alpha.put("/v1/integrations/int_1/watchdog", json={"expected_interval_s": 60})
    assert answer.status_code == 200, answer.text
    assert peers.last(WatchIntegration).expected_interval_s == 60


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 30 * 86_400 + 1, "soon", True])
async def test_an_interval_out_of_its_bounds_is_named(alpha: httpx.AsyncClient, seconds: object) -> None:
    answer = await alpha.put("/v1/integrations/int_1/watchdog", json={"expected_interval_s": seconds})
    assert_problem(answer, "request.invalid")
    assert answer.json()["errors"][0]["field"] == "expected_interval_s"


async def test_activity_is_asked_for_by_integration(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.get("/v1/activity", params={"integration_id": "int_1"})).status_code == 200
    assert peers.last(ListActivity).integration_id == "int_1"
