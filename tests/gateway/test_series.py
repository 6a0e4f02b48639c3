"""Series and latest values over HTTP: what is passed on, and what is refused before."""

from __future__ import annotations

import httpx
import pytest

from contracts import series, telemetry
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_parameter_reaches_the_question(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.get(
        "/v1/telemetry/series?device_id=a&device_id=b&device_id=a&metric=t&integration_id=hosted&interval=15m"
        "&from=2026-03-01T10:00:00Z&to=2026-03-01T12:00:00%2B01:00&aggregate=avg&aggregate=p95&fill=linear"
        "&time_zone=Europe/Berlin&limit=7"
    )
    assert answer.status_code == 200, answer.text
    [asked] = [each for each in peers.asked if isinstance(each, series.GetSeries)]
    assert (asked.organization, asked.device_id, asked.metric) == (ALPHA, ("a", "b"), ("t",))
    assert (asked.aggregate, asked.fill, asked.interval) == (("avg", "p95"), "linear", "15m")
    assert (asked.time_zone, asked.limit, asked.integration_id) == ("Europe/Berlin", 7, ("hosted",))
    assert asked.to is not None
    assert asked.to.hour == 11


async def test_lists_of_names_reach_the_raw_list_and_the_latest(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    assert (await alpha.get("/v1/telemetry?device_id=a&device_id=b&metric=t&metric=h")).status_code == 200
    assert (await alpha.get("/v1/telemetry/latest?device_id=a&device_id=b&metric=t")).status_code == 200
    raw, latest = peers.asked[-2:]
    assert isinstance(raw, telemetry.ListTelemetry)
    assert (raw.device_id, raw.metric) == (("a", "b"), ("t", "h"))
    assert isinstance(latest, series.ListLatest)
    assert (latest.device_id, latest.metric) == (("a", "b"), ("t",))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "interval"),
        ("interval=1h&aggregate=median", "aggregate"),
        ("interval=1h&fill=zero", "fill"),
        ("interval=1h&interval=2h", "interval"),
        ("interval=1h&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        ("interval=1h&from=yesterday", "from"),
        ("interval=1h&step=5", "step"),
        (f"interval=1h&metric={'x' * 257}", "metric"),
        ("interval=1h&" + "&".join(f"device_id=d{n}" for n in range(101)), "device_id"),
        ("interval=1h&device_id=a%00b", "device_id"),
    ],
)
async def test_what_is_wrong_is_named(alpha: httpx.AsyncClient, peers: Peers, query: str, field: str) -> None:
    answer = await alpha.get(f"/v1/telemetry/series?{query}")
    assert_problem(answer, "request.invalid", field)
    assert not [each for each in peers.asked if isinstance(each, series.GetSeries)]
