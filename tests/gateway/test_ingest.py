"""POST /v1/ingest: what was sent is in the log, byte for byte, once; what may not be sent is not."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from contracts import messages, subjects
from contracts.limits import Limits
from contracts.organizations import Principal
from contracts.secrets_format import mint
from contracts.streams import PAYLOAD_BYTES_MAX
from deploy.local.nats import NatsServer
from services.gateway.settings import LINES_BODY_BYTES_MAX, LINES_MAX
from tests.gateway.peers import ALPHA, BETA, CREDENTIAL, KEYS, Peers, basic, bearer, started_peers
from tests.gateway.problem_assertions import assert_problem
from tests.support.clients import http_client
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
DEVICE = basic(CREDENTIAL, KEYS.device)


async def stored(client: NatsClient, sequence: int) -> tuple[str, dict[str, str], bytes]:
    """Subject, headers and payload at a sequence of MESSAGES."""
    request = json.dumps({"seq": sequence}).encode()
    message = await client.request("$JS.API.DIRECT.GET.MESSAGES", request, timeout=2)
    headers = message.headers or {}
    return headers["Nats-Subject"], headers, message.data


@pytest.mark.parametrize(
    "payload",
    [
        b'{"temperature": 21.50, "n": 1e2,  "big": 123456789012345678901234567890}',
        b'{"a":1,"a":2}',
        b"21.0",
        b'"text \\u00e9"',
        b"[1, 2 , 3]",
        b"null",
        b"{ }",
        '{"é": "✓"}'.encode(),
    ],
)
async def test_json_is_stored_byte_for_byte(
    alpha: httpx.AsyncClient, log_reader: NatsClient, payload: bytes
) -> None:
    body = b'{"topic": "devices/d1/telemetry", "payload": ' + payload + b', "qos": 2}'
    response = await alpha.post("/v1/ingest", content=body, headers=JSON)
    assert response.status_code == 202
    subject, headers, data = await stored(log_reader, response.json()["sequence"])
    assert data == payload
    assert subject == subjects.message(ALPHA, "http", "d1")
    assert headers[messages.TOPIC] == f"{ALPHA}/devices/d1/telemetry"
    assert headers[messages.QOS] == "2"
    assert headers["ce-source"] == "http"


async def test_any_bytes_can_be_sent_as_base64(alpha: httpx.AsyncClient, log_reader: NatsClient) -> None:
    payload = bytes(range(256))
    body = {"topic": "devices/d1/raw", "payload_base64": base64.b64encode(payload).decode()}
    response = await alpha.post("/v1/ingest", json=body)
    assert (await stored(log_reader, response.json()["sequence"]))[2] == payload


async def test_the_trace_goes_with_the_message(alpha: httpx.AsyncClient, log_reader: NatsClient) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"topic": "devices/d1/telemetry", "payload": 1}
    response = await alpha.post("/v1/ingest", json=body, headers={"traceparent": parent})
    _, headers, _ = await stored(log_reader, response.json()["sequence"])
    assert headers["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert response.headers["traceresponse"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("prefix", ["", f"{ALPHA}/"])
async def test_the_own_prefix_may_be_left_out(
    alpha: httpx.AsyncClient, log_reader: NatsClient, prefix: str
) -> None:
    body = {"topic": f"{prefix}devices/d1/telemetry", "payload": 1}
    response = await alpha.post("/v1/ingest", json=body)
    _, headers, _ = await stored(log_reader, response.json()["sequence"])
    assert headers[messages.TOPIC] == f"{ALPHA}/devices/d1/telemetry"


async def test_another_tenants_topic_is_forbidden(alpha: httpx.AsyncClient) -> None:
    for topic in (f"{BETA}/devices/d1/telemetry", BETA):
        response = await alpha.post("/v1/ingest", json={"topic": topic, "payload": 1})
        assert_problem(response, "topic.forbidden", "topic")


@pytest.mark.parametrize(
    "topic", ["", "a/+/b", "a/#", "a*", "a>b", "a b", "a\0b", "a\nb", "$SYS/x", "x" * 1100]
)
async def test_a_topic_that_breaks_the_rules_is_refused(alpha: httpx.AsyncClient, topic: str) -> None:
    response = await alpha.post("/v1/ingest", json={"topic": topic, "payload": 1})
    assert_problem(response, "topic.invalid", "topic")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payload": 1}, "topic"),
        ({"topic": 5, "payload": 1}, "topic"),
        ({"topic": "devices/d1/t"}, "payload"),
        ({"topic": "devices/d1/t", "payload": 1, "payload_base64": "aa=="}, "payload"),
        ({"topic": "devices/d1/t", "payload_base64": "%%"}, "payload_base64"),
        ({"topic": "devices/d1/t", "payload": 1, "qos": 3}, "qos"),
        ({"topic": "devices/d1/t", "payload": 1, "qos": "1"}, "qos"),
        ({"topic": "devices/d1/t", "payload": 1, "retain": True}, "retain"),
    ],
)
async def test_the_field_at_fault_is_named(
    alpha: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    assert_problem(await alpha.post("/v1/ingest", json=body), "request.invalid", field)


async def test_a_payload_may_have_256_kib_and_no_more(alpha: httpx.AsyncClient) -> None:
    for payload in (b"x" * PAYLOAD_BYTES_MAX, b"x" * (PAYLOAD_BYTES_MAX + 1)):
        body = {"topic": "devices/d1/raw", "payload_base64": base64.b64encode(payload).decode()}
        response = await alpha.post("/v1/ingest", json=body)
        if len(payload) > PAYLOAD_BYTES_MAX:
            assert_problem(response, "payload.too_large", "payload")
        else:
            assert response.status_code == 202
    body = {"topic": "devices/d1/raw", "payload": "x" * (PAYLOAD_BYTES_MAX - 1)}  # two quotes
    assert_problem(await alpha.post("/v1/ingest", json=body), "payload.too_large")


async def test_a_device_sends_with_its_own_credential(http: httpx.AsyncClient, peers: Peers) -> None:
    response = await http.post(
        "/v1/ingest", json={"topic": "devices/d1/telemetry", "payload": 1}, headers=DEVICE
    )
    assert response.status_code == 202


@pytest.mark.parametrize(
    "topic", ["devices/d2/telemetry", "devices/d1", "commands/d1/go", f"{BETA}/devices/d1/t"]
)
async def test_a_device_sends_only_where_its_filters_allow(
    http: httpx.AsyncClient, peers: Peers, topic: str
) -> None:
    response = await http.post("/v1/ingest", json={"topic": topic, "payload": 1}, headers=DEVICE)
    assert_problem(response, "topic.forbidden", "topic")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (basic("cred_unknown", KEYS.device), "connect.unknown"),
        (basic(CREDENTIAL, "guess"), "key.invalid"),
        ({"Authorization": "Basic %%%"}, "key.invalid"),
        ({"Authorization": "Digest x"}, "key.invalid"),
        (bearer(KEYS.device), "key.invalid"),
    ],
)
async def test_a_wrong_credential_is_refused(
    http: httpx.AsyncClient, peers: Peers, headers: dict[str, str], code: str
) -> None:
    body = {"topic": "devices/d1/telemetry", "payload": 1}
    assert_problem(await http.post("/v1/ingest", json=body, headers=headers), code)


async def test_the_same_request_twice_is_stored_once(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    body = {"topic": "devices/d1/telemetry", "payload": {"once": True}}
    headers = {"Idempotency-Key": "order-1"}
    first = (await alpha.post("/v1/ingest", json=body, headers=headers)).json()
    second = (await alpha.post("/v1/ingest", json=body, headers=headers)).json()
    assert second == {"sequence": first["sequence"], "duplicate": True}
    for other in ({**body, "payload": 2}, {**body, "topic": "devices/d2/telemetry"}, {**body, "qos": 0}):
        refused = await alpha.post("/v1/ingest", json=other, headers=headers)
        assert_problem(refused, "idempotency.reused")
    assert (await alpha.post("/v1/ingest", json=body, headers=headers)).json() == second
    of_beta = (await beta.post("/v1/ingest", json=body, headers=headers)).json()
    assert not of_beta["duplicate"]


def ndjson(*lines: object) -> bytes:
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


async def test_many_messages_go_in_one_request_in_order(
    alpha: httpx.AsyncClient, log_reader: NatsClient
) -> None:
    body = ndjson(*({"topic": "devices/d1/telemetry", "payload": {"n": n}} for n in range(LINES_MAX)))
    response = await alpha.post("/v1/ingest", content=body, headers=NDJSON)
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["refused"]) == (LINES_MAX, 0)
    sequences = [result["sequence"] for result in answer["results"]]
    assert sequences == sorted(set(sequences))
    for index in (0, 499, LINES_MAX - 1):
        assert json.loads((await stored(log_reader, sequences[index]))[2]) == {"n": index}


async def test_each_line_has_its_own_result(alpha: httpx.AsyncClient) -> None:
    body = ndjson(
        {"topic": "devices/d1/telemetry", "payload": 1},
        b"",
        b"{nope",
        {"topic": "a/+", "payload": 1},
        {"topic": f"{BETA}/devices/d1/t", "payload": 1},
        {"topic": "devices/d1/telemetry", "payload": 2},
    )
    response = await alpha.post("/v1/ingest", content=body, headers=NDJSON)
    assert response.status_code == 207
    answer = response.json()
    assert (answer["accepted"], answer["refused"]) == (2, 3)
    codes = {result["line"]: (result["error"] or {}).get("code") for result in answer["results"]}
    assert codes == {1: None, 3: "request.malformed", 4: "topic.invalid", 5: "topic.forbidden", 6: None}


async def test_where_no_line_can_be_taken_the_request_is_refused(alpha: httpx.AsyncClient) -> None:
    body = ndjson({"topic": "a/+", "payload": 1}, {"topic": "b/#", "payload": 1})
    response = await alpha.post("/v1/ingest", content=body, headers=NDJSON)
    assert_problem(response, "topic.invalid", "line 2.topic")
    assert_problem(await alpha.post("/v1/ingest", content=b"\n\n", headers=NDJSON), "request.invalid")


async def test_lines_sent_again_are_recognised(alpha: httpx.AsyncClient) -> None:
    body = ndjson(*({"topic": "devices/d1/telemetry", "payload": {"again": n}} for n in range(10)))
    headers = {**NDJSON, "Idempotency-Key": "lines-1"}
    first = (await alpha.post("/v1/ingest", content=body, headers=headers)).json()["results"]
    second = (await alpha.post("/v1/ingest", content=body, headers=headers)).json()["results"]
    assert [result["sequence"] for result in second] == [result["sequence"] for result in first]
    assert all(result["duplicate"] for result in second)


async def test_a_key_that_was_used_for_other_lines_is_refused_before_any_is_stored(
    alpha: httpx.AsyncClient, log_reader: NatsClient
) -> None:
    lines = [{"topic": "devices/d1/telemetry", "payload": {"kept": n}} for n in range(3)]
    headers = {**NDJSON, "Idempotency-Key": "lines-2"}
    first = (await alpha.post("/v1/ingest", content=ndjson(*lines), headers=headers)).json()["results"]
    for other in (lines[:2], [*lines, {**lines[0], "payload": 9}], [lines[1], lines[0], lines[2]]):
        refused = await alpha.post("/v1/ingest", content=ndjson(*other), headers=headers)
        assert_problem(refused, "idempotency.reused")
    body = {"topic": "devices/d1/telemetry", "payload": {"next": True}}
    after = (await alpha.post("/v1/ingest", json=body)).json()["sequence"]
    assert after == first[-1]["sequence"] + 1, "nothing of them was stored"


async def test_a_line_that_was_refused_the_first_time_is_stored_the_second(
    alpha: httpx.AsyncClient, peers: Peers, http: httpx.AsyncClient
) -> None:
    key, headers = mint("key"), {**NDJSON, "Idempotency-Key": "lines-3"}
    limits = Limits(messages_per_s=1000, payload_bytes=20)
    peers.principals[key] = Principal(
        organization="org_mended0000000000", actor="key:key_mended", scopes=("publish",), limits=limits
    )
    body = ndjson(*({"topic": "devices/d1/telemetry", "payload": "x" * size} for size in (30, 5, 6)))
    asked = {**headers, **bearer(key)}
    first = (await http.post("/v1/ingest", content=body, headers=asked)).json()["results"]
    assert [each["error"] and each["error"]["code"] for each in first] == ["payload.too_large", None, None]
    other = mint("key")
    peers.principals[other] = peers.principals[key].model_copy(update={"limits": None})
    second = (await http.post("/v1/ingest", content=body, headers={**headers, **bearer(other)})).json()[
        "results"
    ]
    assert [each["duplicate"] for each in second] == [False, True, True]
    assert [each["sequence"] for each in second[1:]] == [each["sequence"] for each in first[1:]]


async def test_too_many_lines_and_too_many_bytes_are_refused(alpha: httpx.AsyncClient) -> None:
    line = {"topic": "devices/d1/telemetry", "payload": 1}
    many = await alpha.post("/v1/ingest", content=ndjson(*[line] * (LINES_MAX + 1)), headers=NDJSON)
    assert_problem(many, "request.too_large")
    large = await alpha.post("/v1/ingest", content=b" " * (LINES_BODY_BYTES_MAX + 1), headers=NDJSON)
    assert_problem(large, "request.too_large")


async def test_without_the_log_it_is_said_to_come_again(
    own_nats: NatsServer, run_service: Any, peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", own_nats, INGEST_TIMEOUT_S="1")
    async with (
        started_peers(own_nats) as own_peers,
        http_client(service.url, headers=bearer(KEYS.alpha), timeout=20) as client,
    ):
        body = {"topic": "devices/d1/telemetry", "payload": 1}
        assert (await client.post("/v1/ingest", json=body)).status_code == 202
        own_nats.kill()
        response = await client.post("/v1/ingest", json=body)
        assert_problem(response, "log.unavailable")
        own_nats.start()

        async def stored_again() -> bool:
            return (await client.post("/v1/ingest", json=body)).status_code == 202

        assert await eventually(stored_again)
        await eventually(lambda: all(bus.connected for bus in own_peers.buses.values()))
