"""GET /v1/stream: live, isolated, resumable without a gap, bounded, ended by what ends a key."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from contracts import subjects
from contracts.envelope import Cause, encode
from contracts.organizations import ApiKeyRevoked, Principal
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.sse import Event, Stream, opened
from tests.support.clients import http_client, platform_client
from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ingest(client: httpx.AsyncClient, payload: object, device: str = "d1") -> int:
    body = {"topic": f"devices/{device}/telemetry", "payload": payload}
    response = await client.post("/v1/ingest", json=body)
    assert response.status_code == 202, response.text
    return int(response.json()["sequence"])


async def test_a_message_comes_live_and_decoded(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        sequence = await ingest(alpha, {"temperature": 21.5, "open": True})
        event = await stream.next()
    assert event is not None
    assert (event.id, event.event) == (sequence, "message")
    data = event.data
    assert data["sequence"] == sequence
    assert data["device_id"] == "d1"
    assert data["topic"] == f"{ALPHA}/devices/d1/telemetry"
    assert data["integration_id"] == "http"
    assert (data["qos"], data["retain"], data["encoding"]) == (1, False, "utf-8")
    assert json.loads(data["payload"]) == {"temperature": 21.5, "open": True}
    assert data["readings"][0]["device_id"] == "d1"
    assert data["readings"][0]["metrics"] == {"temperature": 21.5, "open": True}
    assert "failure" not in data


async def test_what_cannot_be_decoded_comes_with_the_reason(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha) as stream:
        body = {"topic": "devices/d1/telemetry", "payload_base64": base64.b64encode(b"\xff\x00").decode()}
        assert (await alpha.post("/v1/ingest", json=body)).status_code == 202
        event = await stream.next()
    assert event is not None
    assert (event.data["encoding"], event.data["failure"]) == ("base64", "payload.not_json")
    assert base64.b64decode(event.data["payload"]) == b"\xff\x00"


async def test_no_organization_hears_another(alpha: httpx.AsyncClient, beta: httpx.AsyncClient) -> None:
    async with opened(alpha) as of_alpha, opened(beta) as of_beta:
        await ingest(alpha, {"whose": "alpha"})
        await ingest(beta, {"whose": "beta"})
        await ingest(alpha, {"whose": "alpha"})
        await ingest(beta, {"whose": "beta"})
        heard = [event.data["readings"][0]["metrics"] for event in await of_alpha.take(2)]
        heard_by_beta = [event.data["readings"][0]["metrics"] for event in await of_beta.take(2)]
    assert heard == [{"whose": "alpha"}] * 2
    assert heard_by_beta == [{"whose": "beta"}] * 2


async def test_resuming_does_not_show_another_organizations_messages(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    first = await ingest(alpha, {"whose": "alpha"})
    await ingest(beta, {"whose": "beta"})
    async with opened(beta, after=first - 1) as stream:
        event = await stream.next()
    assert event is not None
    assert event.data["readings"][0]["metrics"] == {"whose": "beta"}


async def test_one_device_can_be_asked_for(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha, device_id="d2") as stream:
        await ingest(alpha, {"n": 1}, device="d1")
        sequence = await ingest(alpha, {"n": 2}, device="d2")
        event = await stream.next()
    assert event is not None
    assert event.id == sequence


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_reader_resumes_without_a_gap(alpha: httpx.AsyncClient, by_header: bool) -> None:
    first = await ingest(alpha, {"n": 0})
    wanted = [await ingest(alpha, {"n": n}) for n in range(1, 120)]
    query = {} if by_header else {"last_event_id": str(first)}
    async with opened(alpha, after=first if by_header else None, **query) as stream:
        assert [event.id for event in await stream.take(len(wanted))] == wanted


async def test_a_position_behind_the_logs_end_is_told_as_a_gap(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha, after=10**12) as stream:
        gap = await stream.next()
        assert gap is not None
        assert gap.event == "gap"
        assert gap.data["reason"] == "recreated"
        sequence = await ingest(alpha, {"n": 1})
        event = await stream.next()
    assert event is not None
    assert event.id == sequence


@pytest.mark.parametrize("position", ["-1", "1.5", "x", "9" * 19, "١"])
async def test_a_position_that_is_no_number_is_refused(alpha: httpx.AsyncClient, position: str) -> None:
    response = await alpha.get("/v1/stream", params={"last_event_id": position})
    assert_problem(response, "cursor.invalid", "Last-Event-ID")


async def test_head_of_a_stream_ends_at_once(alpha: httpx.AsyncClient) -> None:
    response = await alpha.head("/v1/stream")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_too_many_readers_are_refused_and_places_come_back(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(
        run_service, "gateway", provisioned_nats, STREAMS_PER_ORGANIZATION_MAX="2"
    )
    headers = bearer(KEYS.alpha)
    async with http_client(service.url, headers=headers, timeout=10) as client:
        async with opened(client), opened(client):
            assert_problem(await client.get("/v1/stream"), "limit.reached")

        async def place_is_free() -> bool:
            async with client.stream("GET", "/v1/stream") as response:
                return response.status_code == 200

        assert await eventually(place_is_free)


async def test_a_revoked_key_ends_its_stream_at_once(
    gateway: Service, peers: Peers, provisioned_nats: NatsServer, alpha: httpx.AsyncClient
) -> None:
    secret = mint("key")
    principal = Principal(organization=ALPHA, actor="key:key_torevoke", scopes=("read",))
    peers.principals[secret] = principal
    async with (
        http_client(gateway.url, headers=bearer(secret), timeout=10) as client,
        opened(client) as stream,
        opened(alpha) as other,
        platform_client(provisioned_nats, "credentials") as registry,
    ):
        began = time.monotonic()
        await publish_revocation(registry, "key_torevoke")
        await assert_ended(stream, "key")
        assert time.monotonic() - began < 1
        # the peer still says that the key holds, as a read side that lags would
        assert_problem(await client.get("/v1/telemetry"), "key.invalid")
        sequence = await ingest(alpha, {"n": 1})
        event = await other.next()
        assert event is not None
        assert event.id == sequence


async def assert_ended(stream: Stream, reason: str) -> None:
    """The stream says why, and is over."""
    last = await stream.next()
    assert last is not None
    assert (last.event, last.data["reason"]) == ("end", reason)
    assert await stream.next() is None


async def publish_revocation(registry: NatsClient, key: str) -> None:
    cause = Cause("admin", "credentials")
    headers, body = encode(ApiKeyRevoked(), id=mint("key"), time=datetime.now(UTC), cause=cause)
    await registry.publish(subjects.registry(ALPHA, "api-key", key), body, headers=headers)
    await registry.flush()


async def test_a_stream_that_said_nothing_yet_resumes_where_it_began(alpha: httpx.AsyncClient) -> None:
    await ingest(alpha, {"before": 1})
    async with alpha.stream("GET", "/v1/stream") as response:
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                began = line.removeprefix("id: ")
                break
    missed = await ingest(alpha, {"meanwhile": 1})
    async with opened(alpha, after=began) as stream:
        event = await stream.next()
        assert event is not None
        assert event.id == missed


async def test_a_stream_ends_after_its_time_and_says_when_to_come_back(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", provisioned_nats, STREAM_LASTS_S="1")
    async with (
        http_client(service.url, headers=bearer(KEYS.alpha), timeout=10) as client,
        client.stream("GET", "/v1/stream") as response,
    ):
        text = (await response.aread()).decode()
    assert text.startswith("retry: ")
    assert '"reason":"time"' in text


async def test_a_reader_that_takes_nothing_is_cut_off_and_holds_up_nobody(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(
        run_service, "gateway", provisioned_nats, STREAM_SEND_S="1", STREAMS_PER_ORGANIZATION_MAX="2"
    )
    async with http_client(service.url, headers=bearer(KEYS.alpha), timeout=20) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        request = f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS.alpha}\r\n\r\n"
        writer.write(request.encode())
        await reader.readuntil(b": stream")  # from here on it takes nothing
        async with opened(client) as stream:
            assert_problem(await client.get("/v1/stream"), "limit.reached")
            blob = "x" * 200_000
            sent = [await ingest(client, {"blob": blob, "n": n}) for n in range(60)]
            assert [event.id for event in await stream.take(60)] == sent

            async def place_is_free() -> bool:
                async with client.stream("GET", "/v1/stream") as response:
                    return response.status_code == 200

            assert await eventually(place_is_free)
        writer.close()


async def test_nothing_is_missed_or_doubled_across_a_kill(
    provisioned_nats: NatsServer,
    run_service: Callable[..., Service],
    peers: Peers,
    alpha: httpx.AsyncClient,
) -> None:
    killed = await asyncio.to_thread(run_service, "gateway", provisioned_nats)
    got: list[Event] = []
    sent: list[int] = []

    async def send() -> None:
        sent.extend([await ingest(alpha, {"n": n}) for n in range(300)])

    async def read() -> None:
        after: int | str | None = None
        async with http_client(killed.url, headers=bearer(KEYS.alpha), timeout=10) as client:
            while len(got) < 300:
                try:
                    async with opened(client, after=after) as stream:
                        ready.set()
                        while (event := await stream.next()) is not None:
                            got.append(event)
                            after = event.id
                            if len(got) in (60, 150):
                                killed.process.kill()
                                await asyncio.to_thread(killed.start)
                            if len(got) == 300:
                                return
                except httpx.TransportError:
                    continue

    ready = asyncio.Event()
    reading = asyncio.create_task(read())
    await ready.wait()
    await send()
    async with asyncio.timeout(40):
        await reading
    assert [event.id for event in got] == sent


async def test_sigterm_with_open_streams_takes_seconds(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", provisioned_nats)
    async with (
        http_client(service.url, headers=bearer(KEYS.alpha), timeout=10) as client,
        opened(client) as first,
        opened(client) as second,
    ):
        began = time.monotonic()
        service.process.signal(signal.SIGTERM)
        await assert_ended(first, "stopping")
        await assert_ended(second, "stopping")
        assert await asyncio.to_thread(service.process.wait, 10) == 0
        assert time.monotonic() - began < 5
