"""Statistics over HTTP: what is passed on, and what is refused before."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from contracts.stats import GetStats
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_parameter_reaches_the_question(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.get(
        "/v1/stats?interval=15m&by=integration&counter=messages&counter=errors&counter=messages"
        "&integration_id=int_1&integration_id=hosted&from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z&limit=7"
    )
    assert answer.status_code == 200, answer.text
    asked = peers.last(GetStats)
    assert (asked.organization, asked.interval, asked.by, asked.limit) == (ALPHA, "15m", "integration", 7)
    assert (asked.counter, asked.integration_id) == (("messages", "errors"), ("int_1", "hosted"))
    assert (asked.from_, asked.to) == (
        datetime(2026, 3, 1, 10, tzinfo=UTC),
        datetime(2026, 3, 1, 11, tzinfo=UTC),
    )
    assert (await alpha.get("/v1/stats?device_id=d1&credential_id=c1")).status_code == 200
    asked = peers.last(GetStats)
    assert (asked.device_id, asked.credential_id, asked.by, asked.counter) == (("d1",), ("c1",), None, ())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=weather", "by"),
        ("counter=joules", "counter"),
        ("interval=1h&interval=2h", "interval"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("metric=t", "metric"),
        ("&".join(f"credential_id=c{n}" for n in range(101)), "credential_id"),
    ],
)
async def test_what_is_wrong_is_named(alpha: httpx.AsyncClient, peers: Peers, query: str, field: str) -> None:
    assert_problem(await alpha.get(f"/v1/stats?{query}"), "request.invalid", field)
    assert not peers.count(GetStats)
