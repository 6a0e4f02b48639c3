"""Health, metrics, logs, traces, headers, and what is no request of ours at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.failures import CODES
from deploy.local.nats import NatsServer
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.support.clients import http_client
from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_health(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    assert (await http.get("/readyz")).json() == {"status": "ready", "missing": {}}


async def test_durations_are_measured_by_route(alpha: httpx.AsyncClient) -> None:
    await alpha.get("/v1/devices/d1")
    await alpha.get("/v1/devices/another-one")
    text = (await alpha.get("/metrics")).text
    lines = [
        line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_count")
    ]
    assert any('http_route="/v1/devices/{id}"' in line and 'status_code="404"' in line for line in lines)
    assert "another-one" not in text


async def test_a_log_line_says_who_and_what_without_secrets(
    gateway: Service, alpha: httpx.AsyncClient
) -> None:
    trace = uuid4().hex  # of this call alone: others' calls stand in the same log
    parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await alpha.get("/v1/telemetry", params={"device_id": "private-name"}, headers=parent)

    def written() -> dict[str, Any] | None:
        lines = [json.loads(line) for line in gateway.process.log.read_text().splitlines()]
        return next((each for each in lines if each.get("trace_id") == trace), None)

    line = await eventually(written)
    assert line is not None
    log = gateway.process.log.read_text()
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/telemetry", 200)
    assert (line["organization"], line["actor"]) == (ALPHA, "key:key_alpha")
    assert "private-name" not in log
    assert "hmq_key_" not in log


async def test_the_trace_is_continued_and_told(alpha: httpx.AsyncClient) -> None:
    response = await alpha.get("/v1/telemetry", headers={"traceparent": PARENT})
    assert response.headers["traceresponse"].split("-")[1] == PARENT.split("-")[1]
    refused = await alpha.get("/v1/telemetry?limit=0", headers={"traceparent": PARENT})
    assert refused.json()["trace_id"] == PARENT.split("-")[1]
    for broken in ("nonsense", "00-0-0-00", ""):
        assert (await alpha.get("/v1/telemetry", headers={"traceparent": broken})).status_code == 200


async def test_every_answer_has_its_security_headers(alpha: httpx.AsyncClient) -> None:
    for path in ("/v1/telemetry", "/v1/nowhere", "/docs", "/healthz"):
        headers = (await alpha.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    assert (await alpha.get("/v1/telemetry")).headers["cache-control"] == "no-store"


async def test_head_and_options(alpha: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    head = await alpha.head("/v1/telemetry")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    refused = await http.head("/v1/telemetry")
    assert (refused.status_code, refused.content) == (401, b"")
    options = await http.options("/v1/credentials")
    assert options.status_code == 204
    assert {"GET", "POST"} <= set(options.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/", "/v1/nothing", "/v1/credentials/a/b", "/docs/x/y"]
)
async def test_an_unknown_address(http: httpx.AsyncClient, path: str) -> None:
    assert_problem(await http.get(path), "route.unknown")


async def test_every_problem_is_explained(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/problems")).json()
    assert set(listed) == set(CODES)
    for code in ("not_found", "limit.reached", "internal"):
        page = await http.get(listed[code]["type"])
        assert page.status_code == 200
        assert CODES[code].title in page.text
    assert_problem(await http.get("/problems/nothing"), "route.unknown")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 40_000,
        b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_a_problem_too(gateway: Service, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(raw)
    async with asyncio.timeout(5):
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "request.malformed"
    writer.close()


async def test_large_headers_are_refused(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/healthz", headers={"X": "x" * 20_000}), "request.too_large")


async def test_a_body_that_never_comes_does_not_wait_for_ever(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", provisioned_nats, REQUEST_TIMEOUT_S="0.5")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    request = (
        f"POST /v1/credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS.alpha}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    writer.write(request.encode())
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
    writer.close()


async def test_a_service_that_is_away_is_a_503(
    own_nats: NatsServer, run_service: Callable[..., Service]
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", own_nats)
    async with http_client(service.url, headers=bearer(KEYS.alpha), timeout=20) as client:
        assert_problem(await client.get("/v1/telemetry"), "service.unavailable")
