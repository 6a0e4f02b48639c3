"""Redecodes over HTTP: looked at, ordered, steered; the operator's rebuild."""

import httpx
import pytest

from contracts.redecode import OrderRedecode, PreviewRedecode
from tests.gateway.peers import Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
WANTED = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z", "decoder": {"name": "text"}}


async def test_a_dry_run_is_a_question_and_an_order_is_none(alpha: httpx.AsyncClient, peers: Peers) -> None:
    looked = await alpha.post("/v1/redecode", json={**WANTED, "dry_run": True})
    assert (looked.status_code, looked.json()["removed"]) == (200, 6)
    assert peers.last(PreviewRedecode).integration == "hosted"
    assert peers.count(OrderRedecode) == 0
    ordered = await alpha.post("/v1/redecode", json=WANTED, headers={"Idempotency-Key": "one"})
    assert (ordered.status_code, ordered.json()["id"]) == (202, "redec_1")
    assert peers.last(OrderRedecode).command_id is not None
    for verb in ("pause", "resume", "cancel"):
        assert (await alpha.post(f"/v1/redecode/redec_1/{verb}")).status_code == 200
        assert_problem(await alpha.post(f"/v1/redecode/redec_2/{verb}"), "not_found")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"decoder": {"name": "nope"}}, "decoder.unknown"),
        ({"decoder": {"name": "custom", "settings": {"telemetry_path": 7}}}, "decoder.settings"),
        ({"to": "2026-11-01T00:00:00Z"}, "request.invalid"),
        ({"from": "2026-11-01T00:00:00"}, "request.invalid"),
        ({"from": None}, "request.invalid"),
        ({"integration_id": "int_of_somebody_else"}, "not_found"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_cannot_be_is_refused_also_as_a_question(
    alpha: httpx.AsyncClient, change: dict[str, object], code: str, dry_run: bool
) -> None:
    answer = await alpha.post("/v1/redecode", json={**WANTED, **change, "dry_run": dry_run})
    assert_problem(answer, code)


async def test_a_rebuild_is_the_operators(operator: httpx.AsyncClient, alpha: httpx.AsyncClient) -> None:
    assert (await operator.post("/v1/admin/rebuild")).status_code == 202
    held = (await operator.get("/v1/admin/rebuild")).json()["rebuild"]
    assert (held["state"], held["left_s"]) == ("reading", 1.5)
    assert (await operator.post("/v1/admin/rebuild/cancel")).status_code == 200
    assert (await operator.get("/v1/admin/logs")).json() == {"projections": []}
    for method, path in (
        ("POST", "/rebuild"),
        ("GET", "/rebuild"),
        ("POST", "/rebuild/cancel"),
        ("GET", "/logs"),
    ):
        assert_problem(await alpha.request(method, f"/v1/admin{path}"), "scope.missing")
