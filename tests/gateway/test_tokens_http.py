"""Tokens of an OpenID issuer at a running gateway: what they may, and how they are refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from contracts.limits import GET_LIMITS, LimitsView, LimitUse
from deploy.local.nats import NatsServer
from tests.gateway.issuer import (
    Issuer,
    ed_signer,
    rsa_signer,
    serving_issuer,
    signed,
    unsigned,
)
from tests.gateway.peers import ALPHA, BETA, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.test_tokens import AUDIENCE, RSA, SIGNERS, claims
from tests.support.clients import http_client
from tests.support.service import Service


@pytest.fixture(scope="module")
def live_issuer() -> Iterator[Issuer]:
    with serving_issuer() as serving:
        serving.keys = [signer.public for signer in SIGNERS.values()]
        yield serving


@pytest.fixture(scope="module")
def trusting(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], live_issuer: Issuer
) -> Service:
    """A gateway that takes this issuer's tokens."""
    return run_service("gateway", provisioned_nats, OIDC_ISSUER=live_issuer.url, OIDC_AUDIENCE=AUDIENCE)


async def _get(service: Service, path: str, token: str) -> httpx.Response:
    async with http_client(service.url, timeout=20, headers=bearer(token)) as http:
        return await http.get(path)


def _fresh(issuer: Issuer, **changed: Any) -> dict[str, Any]:
    return claims(issuer, exp=int(time.time()) + 600, iat=int(time.time()), **changed)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_does_over_http_what_its_scopes_allow(
    trusting: Service, live_issuer: Issuer, peers: Peers
) -> None:
    token = signed(RSA, _fresh(live_issuer))
    assert (await _get(trusting, "/v1/credentials", token)).status_code == 200
    assert peers.asked[-1].organization == ALPHA
    assert peers.asked[-1].actor == "oidc:ada@example.com"
    assert_problem(await _get(trusting, "/v1/api-keys", token), "scope.missing")
    assert_problem(await _get(trusting, "/v1/organizations", token), "scope.missing")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_is_bound_by_its_organizations_limits(
    trusting: Service, live_issuer: Issuer, peers: Peers
) -> None:
    async def small(_: Any) -> LimitsView:
        return LimitsView(items=(LimitUse(limit="payload_bytes", allowed=10, current=None, held=("http",)),))

    peers.answers[GET_LIMITS.subject] = small
    token = signed(RSA, _fresh(live_issuer, sub="limited", scope="publish"))
    async with http_client(trusting.url, timeout=20, headers=bearer(token)) as http:
        answer = await http.post("/v1/ingest", json={"topic": "devices/d/t", "payload": "x" * 20})
    assert_problem(answer, "payload.too_large")
    assert answer.json()["limit"] == "payload_bytes"


@pytest.mark.asyncio(loop_scope="module")
async def test_another_organization_is_out_of_its_reach(
    trusting: Service, live_issuer: Issuer, peers: Peers
) -> None:
    token = signed(RSA, _fresh(live_issuer, organization=BETA, scope="admin"))
    async with http_client(trusting.url, timeout=20, headers=bearer(token)) as http:
        assert_problem(await http.get("/v1/credentials/cred_0000000000000001"), "not_found")
        with_header = await http.get("/v1/credentials", headers={"X-Organization": ALPHA})
        assert_problem(with_header, "scope.missing")
    assert all(getattr(asked, "organization", BETA) == BETA for asked in peers.asked)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_refused_token_is_a_problem_document(
    trusting: Service, live_issuer: Issuer, peers: Peers
) -> None:
    bad = [
        signed(RSA, _fresh(live_issuer, aud="another")),
        signed(RSA, claims(live_issuer, exp=1, iat=0)),
        signed(rsa_signer("r"), _fresh(live_issuer)),
        signed(ed_signer("unknown"), _fresh(live_issuer)),
        signed(RSA, _fresh(live_issuer, organization="org_0000000000000000")),
        unsigned(_fresh(live_issuer)),
    ]
    for token in bad:
        response = await _get(trusting, "/v1/credentials", token)
        assert_problem(response, "key.invalid")
        assert "invalid_token" in response.headers["www-authenticate"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_gateway_without_an_issuer_takes_no_token(
    http: httpx.AsyncClient, live_issuer: Issuer, peers: Peers
) -> None:
    token = signed(RSA, _fresh(live_issuer))
    assert_problem(await http.get("/v1/credentials", headers=bearer(token)), "key.invalid")
    assert not peers.asked
