"""Retention and storage by the API."""

import httpx
import pytest

from contracts.retention import ChangeRetention, Retention
from tests.gateway.peers import Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
WANTED = {"raw_days": 7, "minutes_days": 90, "hours_days": None}


async def test_retention_is_shown_and_set_whole(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.get("/v1/retention")).json()["raw_days"] == 30
    answer = await alpha.put("/v1/retention", json=WANTED)
    assert (answer.status_code, answer.json()) == (200, WANTED)
    assert peers.last(ChangeRetention).retention == Retention(raw_days=7, minutes_days=90, hours_days=None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"raw_days": 7, "minutes_days": 90},
        {**WANTED, "raw_days": 0},
        {**WANTED, "raw_days": None},
        {**WANTED, "hours_days": "for ever"},
        {**WANTED, "days": 1},
        {**WANTED, "minutes_days": 10**9},
    ],
)
async def test_what_is_no_retention_is_refused(alpha: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert_problem(await alpha.put("/v1/retention", json=body), "request.invalid")


async def test_storage_of_a_stranger_is_not_found(alpha: httpx.AsyncClient) -> None:
    assert (await alpha.get("/v1/storage", params={"device_id": "d1"})).status_code == 200
    assert_problem(await alpha.get("/v1/storage", params={"device_id": "stranger"}), "not_found")
