"""POST /v1/ingest/stream: results while lines still come, in order, and bounded whatever the other side does."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from deploy.local.nats import NatsServer
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from tests.gateway.peers import BETA, KEYS, Peers, bearer, started_peers
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.test_ingest import DEVICE, NDJSON, ndjson, stored
from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWER_S = 20


class Talk:
    """One request whose body and answer are under way at the same time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._lines = b""

    async def begin(self, path: str, headers: dict[str, str]) -> int:
        """The answer's status."""
        fields = {**headers, **NDJSON, "Host": "test", "Transfer-Encoding": "chunked"}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(ANSWER_S):
            return int((await self._reader.readuntil(b"\r\n\r\n")).split()[1])

    def send(self, data: bytes) -> None:
        self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def finish(self) -> None:
        self._writer.write(b"0\r\n\r\n")

    async def line(self) -> dict[str, Any]:
        """The answer's next line."""
        async with asyncio.timeout(ANSWER_S):
            while b"\n" not in self._lines:
                size = int(await self._reader.readline(), 16)
                assert size, "the answer ended"
                self._lines += (await self._reader.readexactly(size + 2))[:-2]
        line, _, self._lines = self._lines.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    async def drain(self) -> None:
        await self._writer.drain()


@asynccontextmanager
async def talk(
    service: Service, headers: dict[str, str], path: str = "/v1/ingest/stream"
) -> AsyncIterator[Talk]:
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    talking = Talk(reader, writer)
    try:
        assert await talking.begin(path, headers) == 200
        yield talking
    finally:
        writer.close()


def message(n: int, **more: object) -> dict[str, object]:
    return {"topic": "devices/d1/telemetry", "payload": {"n": n}, **more}


async def test_a_line_is_answered_while_the_next_has_not_come(
    gateway: Service, peers: Peers, log_reader: NatsClient
) -> None:
    async with talk(gateway, bearer(KEYS.alpha)) as talking:
        for number in range(1, 4):
            talking.send(ndjson(message(number)) + b"\n")
            result = await talking.line()
            assert result["line"] == number
            assert json.loads((await stored(log_reader, result["sequence"]))[2]) == {"n": number}
        talking.finish()
        assert await talking.line() == {
            "summary": {"lines": 3, "accepted": 3, "refused": 0, "unavailable": 0}
        }


async def test_results_come_in_the_order_of_the_lines_each_with_its_own(
    gateway: Service, peers: Peers
) -> None:
    async with talk(gateway, DEVICE) as talking:
        body = ndjson(
            message(1), b"{nope", b"", {"topic": f"{BETA}/devices/d1/t", "payload": 1}, message(5), message(6)
        )
        for at in range(0, len(body), 7):  # cut anywhere
            talking.send(body[at : at + 7])
        talking.finish()
        results = [await talking.line() for _ in range(5)]
        codes = [(result["line"], result.get("error", {}).get("code")) for result in results]
        assert codes == [(1, None), (2, "request.malformed"), (4, "topic.forbidden"), (5, None), (6, None)]
        assert (await talking.line())["summary"]["refused"] == 2


async def test_only_what_was_refused_is_told_where_that_is_asked_for(gateway: Service, peers: Peers) -> None:
    path = "/v1/ingest/stream?results=refused"
    async with talk(gateway, bearer(KEYS.alpha), path) as talking:
        talking.send(ndjson(*(message(n) for n in range(5000)), b"nope"))
        talking.finish()
        assert (await talking.line())["line"] == 5001
        assert (await talking.line())["summary"]["accepted"] == 5000


async def test_lines_that_were_stored_before_are_recognised_by_their_ids(
    gateway: Service, peers: Peers
) -> None:
    body = ndjson(*(message(n, id=f"stream-{n}") for n in range(3)))
    for again in (False, True):
        async with talk(gateway, bearer(KEYS.alpha)) as talking:
            talking.send(body)
            talking.finish()
            assert [(await talking.line())["duplicate"] for _ in range(3)] == [again] * 3


async def test_it_may_be_compressed(gateway: Service, peers: Peers) -> None:
    headers = {**bearer(KEYS.alpha), "Content-Encoding": "gzip"}
    packed = gzip.compress(ndjson(*(message(n) for n in range(3000))))
    async with talk(gateway, headers, "/v1/ingest/stream?results=refused") as talking:
        talking.send(packed[:100])
        talking.send(packed[100:])
        talking.finish()
        assert (await talking.line())["summary"]["accepted"] == 3000
    async with talk(gateway, headers) as talking:
        talking.send(packed[:-20])
        talking.finish()
        last: dict[str, Any] = {}
        while "summary" not in last:
            before, last = last, await talking.line()
        assert before["error"]["code"] == "request.malformed"


async def test_a_line_without_end_is_refused_and_ends_it(gateway: Service, peers: Peers) -> None:
    async with talk(gateway, bearer(KEYS.alpha)) as talking:
        talking.send(ndjson(message(1)) + b"\n")
        assert (await talking.line())["line"] == 1
        talking.send(b"x" * (MESSAGE_BODY_BYTES_MAX + 1))
        result = await talking.line()
        assert (result["line"], result["error"]["code"]) == (2, "request.too_large")
        assert (await talking.line())["summary"] == {
            "lines": 1,
            "accepted": 1,
            "refused": 0,
            "unavailable": 0,
        }


async def test_one_organization_cannot_take_all_places(
    gateway: Service, alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    ways = [talk(gateway, bearer(KEYS.alpha)) for _ in range(10)]
    for way in ways:
        await way.__aenter__()
    try:
        assert_problem(await alpha.post("/v1/ingest/stream", content=b"", headers=NDJSON), "limit.reached")
        assert (await beta.post("/v1/ingest/stream", content=b"", headers=NDJSON)).status_code == 200
    finally:
        for way in ways:
            await way.__aexit__(None, None, None)


async def test_what_comes_by_it_must_be_lines(alpha: httpx.AsyncClient) -> None:
    answer = await alpha.post("/v1/ingest/stream", json=message(1))
    assert_problem(answer, "media_type.unsupported")
    wrong = await alpha.post("/v1/ingest/stream?results=none", content=b"", headers=NDJSON)
    assert_problem(wrong, "request.invalid", "results")


async def test_who_sends_nothing_is_let_go(
    provisioned_nats: NatsServer, run_service: Any, peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", provisioned_nats, INGEST_IDLE_S="0.2")
    async with talk(service, bearer(KEYS.alpha)) as talking:
        assert (await talking.line())["error"]["code"] == "request.malformed"
        assert "summary" in await talking.line()


async def test_a_line_that_the_log_did_not_take_says_so(
    own_nats: NatsServer, run_service: Any, peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", own_nats, INGEST_TIMEOUT_S="1")
    async with started_peers(own_nats) as own_peers, talk(service, bearer(KEYS.alpha)) as talking:
        talking.send(ndjson(message(1)) + b"\n")
        assert (await talking.line())["line"] == 1
        own_nats.kill()
        talking.send(ndjson(message(2)) + b"\n")
        result = await talking.line()
        assert (result["line"], result["error"]["code"]) == (2, "log.unavailable")
        assert (await talking.line())["summary"]["unavailable"] == 1
        own_nats.start()
        await eventually(lambda: all(bus.connected for bus in own_peers.buses.values()))
