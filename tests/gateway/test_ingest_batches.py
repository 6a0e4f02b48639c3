"""POST /v1/ingest with an array, compressed, with ids of the sender's own, and the headers that say what is left."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from contracts.limits import Limits
from contracts.organizations import Principal
from contracts.secrets_format import mint
from services.gateway.compressed import plain
from services.gateway.metering import BURST_S
from services.gateway.settings import LINES_BODY_BYTES_MAX, LINES_MAX
from tests.gateway.peers import KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.test_ingest import DEVICE, JSON, NDJSON, ndjson, stored

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOPIC = "devices/d1/telemetry"


async def test_an_array_is_many_messages(alpha: httpx.AsyncClient, log_reader: NatsClient) -> None:
    body = b'[{"topic": "devices/d1/t", "payload": {"a":  1}}, {"topic": "devices/d2/t", "payload": [2]}]'
    answer = await alpha.post("/v1/ingest", content=b"\n " + body, headers=JSON)
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [result["line"] for result in results] == [1, 2]
    assert [(await stored(log_reader, result["sequence"]))[2] for result in results] == [b'{"a":  1}', b"[2]"]


async def test_each_member_has_its_own_result(alpha: httpx.AsyncClient) -> None:
    body = [{"topic": TOPIC, "payload": 1}, {"topic": "a/+", "payload": 1}, 5, {"payload": 1}]
    answer = await alpha.post("/v1/ingest", json=body)
    assert answer.status_code == 207
    codes = [(result["error"] or {}).get("code") for result in answer.json()["results"]]
    assert codes == [None, "topic.invalid", "request.invalid", "request.invalid"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "request.invalid"),
        (b"[{]", "request.malformed"),
        (b"[" * 10_000, "request.malformed"),
        (b"[" + b",".join([b"{}"] * (LINES_MAX + 1)) + b"]", "request.too_large"),
    ],
)
async def test_what_is_no_batch_is_refused_whole(alpha: httpx.AsyncClient, body: bytes, code: str) -> None:
    assert_problem(await alpha.post("/v1/ingest", content=body, headers=JSON), code)


async def test_a_message_is_known_by_its_id_and_by_no_other_tenants(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    body = {"topic": TOPIC, "payload": 1, "id": "d1-000123"}
    first = (await alpha.post("/v1/ingest", json=body)).json()
    again = (await alpha.post("/v1/ingest", json={**body, "payload": 2})).json()
    assert again == {"sequence": first["sequence"], "duplicate": True}
    in_a_batch = (await alpha.post("/v1/ingest", json=[body, {**body, "id": "d1-000124"}])).json()["results"]
    assert [result["duplicate"] for result in in_a_batch] == [True, False]
    assert not (await beta.post("/v1/ingest", json=body)).json()["duplicate"]


@pytest.mark.parametrize("id", ["", "x" * 129, 5])
async def test_an_id_has_1_to_128_characters(alpha: httpx.AsyncClient, id: Any) -> None:
    answer = await alpha.post("/v1/ingest", json={"topic": TOPIC, "payload": 1, "id": id})
    assert_problem(answer, "request.invalid", "id")


@pytest.mark.parametrize("sender", [bearer(KEYS.alpha), DEVICE])
@pytest.mark.parametrize("members", [1, 3])
async def test_a_body_may_be_compressed(
    http: httpx.AsyncClient, peers: Peers, log_reader: NatsClient, sender: dict[str, str], members: int
) -> None:
    lines = ndjson(*({"topic": TOPIC, "payload": {"zip": n}} for n in range(members)))
    parts = lines.split(b"\n")
    # several members one after another are one gzip file (RFC 1952)
    packed = b"".join(gzip.compress(part + b"\n") for part in parts)
    headers = {**sender, **NDJSON, "Content-Encoding": "gzip"}
    results = (await http.post("/v1/ingest", content=packed, headers=headers)).json()["results"]
    kept = [json.loads((await stored(log_reader, result["sequence"]))[2]) for result in results]
    assert kept == [{"zip": n} for n in range(members)]


async def test_a_bomb_is_refused_before_it_bursts(alpha: httpx.AsyncClient) -> None:
    bomb = gzip.compress(b" " * (LINES_BODY_BYTES_MAX + 1))
    headers = {**NDJSON, "Content-Encoding": "gzip"}
    assert_problem(await alpha.post("/v1/ingest", content=bomb, headers=headers), "request.too_large")


@pytest.mark.parametrize(
    "broken",
    [b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-9], zlib.compress(b"zlib is no gzip")],
    ids=["text", "cut", "zlib"],
)
async def test_what_is_no_gzip_is_refused(alpha: httpx.AsyncClient, broken: bytes) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert_problem(await alpha.post("/v1/ingest", content=broken, headers=headers), "request.malformed")


async def test_another_encoding_is_refused_and_another_route_takes_none(alpha: httpx.AsyncClient) -> None:
    for path, encoding in (("/v1/ingest", "br"), ("/v1/api-keys", "gzip")):
        headers = {**JSON, "Content-Encoding": encoding}
        answer = await alpha.post(path, content=gzip.compress(b"{}"), headers=headers)
        assert_problem(answer, "media_type.unsupported")


async def test_uncompressed_a_body_has_exactly_what_was_packed() -> None:
    data = bytes(range(256)) * 1000
    assert plain(gzip.compress(data), "gzip", len(data)) == data


async def test_the_headers_say_what_may_still_be_sent(http: httpx.AsyncClient, peers: Peers) -> None:
    key = mint("key")
    peers.principals[key] = Principal(
        organization="org_rated00000000000",
        actor="key:key_rated",
        scopes=("publish",),
        limits=Limits(messages_per_s=1, bytes_per_s=1000),
    )
    quota = int(BURST_S)

    async def send() -> httpx.Response:
        return await http.post("/v1/ingest", json={"topic": TOPIC, "payload": 1}, headers=bearer(key))

    first = await send()
    assert first.headers["ratelimit-policy"] == (
        f'"organization-messages";q={quota};w=5, "organization-bytes";q={quota * 1000};w=5;qu="content-bytes"'
    )
    assert f'"organization-messages";r={quota - 1};t=' in first.headers["ratelimit"]
    answers = [await send() for _ in range(quota + 1)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert '"organization-messages";r=0;t=' in refused.headers["ratelimit"]
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after_s"] == 1


async def test_without_a_limit_there_are_no_such_headers(alpha: httpx.AsyncClient) -> None:
    answer = await alpha.post("/v1/ingest", json={"topic": TOPIC, "payload": 1})
    assert "ratelimit" not in answer.headers
