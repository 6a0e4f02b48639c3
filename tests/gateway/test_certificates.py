"""The authority that devices trust, the encrypted endpoints, and certificates in the place of passwords."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from contracts import certificates
from deploy.local.nats import NatsServer
from tests.conftest import RunService
from tests.gateway.peers import CREDENTIAL, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.support.clients import http_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = f"/v1/credentials/{CREDENTIAL}/certificate"
FINGERPRINT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


async def test_the_authority_and_the_encrypted_endpoints_are_told_where_there_are_any(
    provisioned_nats: NatsServer, run_service: RunService, peers: Peers, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    gateway = await asyncio.to_thread(
        run_service,
        "gateway",
        provisioned_nats,
        MQTT_TLS_CA=str(authority),
        PUBLIC_MQTTS_URL="mqtts://broker.example:8883",
        PUBLIC_MQTT_WSS_URL="wss://broker.example:8084/mqtt",
    )
    async with http_client(gateway.url) as client:
        download = await client.get("/v1/ca.pem")
        assert download.status_code == 200
        assert download.text == authority.read_text()
        assert "attachment" in download.headers["content-disposition"]
        issued = await client.post("/v1/credentials", json={}, headers=bearer(KEYS.alpha))
        assert issued.json()["endpoints"]["mqtts"] == "mqtts://broker.example:8883"
        assert issued.json()["endpoints"]["wss"] == "wss://broker.example:8084/mqtt"


async def test_without_an_authority_of_ours_there_is_nothing_to_download(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/v1/ca.pem"), "not_found")


async def test_a_certificate_is_bound_and_unbound(alpha: httpx.AsyncClient, peers: Peers) -> None:
    bound = await alpha.post(PATH, json={"fingerprint": FINGERPRINT}, headers={"Idempotency-Key": "b-1"})
    assert bound.status_code == 200
    assert bound.json()["certificate"] == {"fingerprint": FINGERPRINT, "subject": None}
    assert peers.last(certificates.BindCertificate).command_id
    assert (await alpha.delete(PATH)).status_code == 204
    assert peers.last(certificates.UnbindCertificate).id == CREDENTIAL


@pytest.mark.parametrize("body", [{}, {"pem": "x", "subject": "CN=x"}, {"pem": None}])
async def test_one_of_three_must_be_named(
    alpha: httpx.AsyncClient, peers: Peers, body: dict[str, str]
) -> None:
    assert_problem(await alpha.post(PATH, json=body), "request.invalid", "pem")


async def test_another_tenants_credential_is_as_if_it_were_not(beta: httpx.AsyncClient, peers: Peers) -> None:
    assert_problem(await beta.post(PATH, json={"fingerprint": FINGERPRINT}), "not_found")
    assert_problem(await beta.delete(PATH), "not_found")
