"""Presence over HTTP: what is passed on, and what is refused before."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from contracts.presence import GetPresence
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_parameter_reaches_the_question(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.get("/v1/presence?interval=15m&from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z")
    assert answer.status_code == 200, answer.text
    assert answer.json()["now"]["online"] == 1
    asked = peers.last(GetPresence)
    assert (asked.organization, asked.interval) == (ALPHA, "15m")
    assert (asked.from_, asked.to) == (
        datetime(2026, 3, 1, 10, tzinfo=UTC),
        datetime(2026, 3, 1, 11, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("device_id=d1", "device_id"),
        ("interval=1m&interval=2m", "interval"),
    ],
)
async def test_what_is_wrong_is_named(alpha: httpx.AsyncClient, peers: Peers, query: str, field: str) -> None:
    assert_problem(await alpha.get(f"/v1/presence?{query}"), "request.invalid", field)
    assert not peers.count(GetPresence)
