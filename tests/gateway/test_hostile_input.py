"""Whatever is sent, the answer is a problem or a success: never a 500, never silence."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.peers import KEYS, Peers
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
NESTED = b"[" * 25_000

TARGETS = [
    b"/v1/telemetry?device_id=%ff",
    b"/v1/telemetry?limit=99999999999999999999999",
    b"/v1/telemetry?limit=1.5",
    b"/v1/telemetry?limit",
    b"/v1/telemetry?&&=&a",
    b"/v1/telemetry?from=0001-01-01T00:00:00%2B23:59",
    b"/v1/devices/%ff%fe",
    b"/v1/devices/%00",
    b"/v1/devices/..%2f..%2fx",
    b"/problems/%3Cscript%3E",
    b"/docs/%00",
    b"http://elsewhere/v1/telemetry",
    b"*",
]
BODIES = [
    b'{"name": 1e999}',
    b'{"name": ' + NESTED + b"]" * 25_000 + b"}",
    NESTED,
    b'{"name": 123456789012345678901234567890}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}',
    b'{"expires_at": "9999-99-99T00:00:00Z"}',
    b'{"publish": "devices/#"}',
    b'{"topic": "devices/d1/t", "payload": ' + NESTED + b"]" * 25_000 + b"}",
    b'{"topic": "\\ud800", "payload": 1}',
    b'\xef\xbb\xbf{"topic": "a", "payload": 1}',
    b'{"topic": "a", "payload": "\xff"}',
    b'{"settings": {"port": 1e400}}',
    b'{"settings": {"host": "\\u0000"}}',
    b'{"settings": []}',
    b"\x00",
]
HEADERS = [
    b"traceparent: \xff\xff",
    b"Idempotency-Key: \xe9",
    b"X-Organization: \xff",
    b"Last-Event-ID: \xff",
    b"Content-Type: ;;;",
    b"Content-Type: \xff",
    b"Content-Encoding: gzip",
    b"Accept: nothing/at-all",
    b"Cookie: a=b; c",
]
ROUTES = [
    b"POST /v1/credentials",
    b"POST /v1/api-keys",
    b"POST /v1/integrations",
    b"POST /v1/integrations/test",
    b"POST /v1/integrations/hosted/publish",
    b"PATCH /v1/integrations/int_1",
    b"POST /v1/ingest",
]


async def answer(gateway: Service, line: bytes, *headers: bytes, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of a request that is written byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = [
        line + b" HTTP/1.1",
        b"Host: x",
        b"Connection: close",
        b"Authorization: Bearer " + KEYS.alpha.encode(),
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    writer.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
    async with asyncio.timeout(10):
        answered = await reader.read()
    writer.close()
    head_of_answer, _, content = answered.partition(b"\r\n\r\n")
    return int(head_of_answer.split()[1]), content


def assert_answered(status: int, content: bytes) -> None:
    assert status < 500, content
    if status >= 400:
        assert json.loads(content)["code"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"BREW"])
async def test_targets(gateway: Service, peers: Peers, method: bytes, target: bytes) -> None:
    assert_answered(*await answer(gateway, method + b" " + target))


@pytest.mark.parametrize("route", ROUTES)
async def test_bodies(gateway: Service, peers: Peers, route: bytes) -> None:
    for body in BODIES:
        assert_answered(*await answer(gateway, route, b"Content-Type: application/json", body=body))


@pytest.mark.parametrize("header", HEADERS)
async def test_headers(gateway: Service, peers: Peers, header: bytes) -> None:
    assert_answered(*await answer(gateway, b"GET /v1/telemetry", header))
    assert_answered(*await answer(gateway, b"POST /v1/credentials", header, body=b"{}"))
