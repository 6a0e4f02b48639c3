"""The live stream over a WebSocket: the same events, ids, filters and refusals."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from contracts.organizations import Principal
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from services.gateway.sessions import COOKIE, HEADER
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer
from tests.gateway.sse import opened
from tests.gateway.test_stream import ingest, publish_revocation
from tests.support.clients import http_client, platform_client
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


def socket(service: Service, query: str = "", key: str = KEYS.alpha) -> connect:
    url = service.url.replace("http:", "ws:") + "/v1/stream" + query
    return connect(url, additional_headers=bearer(key), open_timeout=30)


async def next_of(websocket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return dict(json.loads(await websocket.recv()))


async def test_the_same_events_come_as_by_server_sent_events(
    gateway: Service, alpha: httpx.AsyncClient
) -> None:
    async with socket(gateway, "?kind=messages&kind=readings") as websocket:
        assert (await next_of(websocket))["event"] == "open"
        async with opened(alpha, kind=["messages", "readings"]) as stream:
            await ingest(alpha, {"t": 1})
            wanted = await stream.take(2)
        got = [await next_of(websocket) for _ in range(2)]
    assert [(each["id"], each["event"], each["data"]) for each in got] == [
        (str(event.id), event.event, event.data) for event in wanted
    ]


async def test_it_resumes_behind_an_id(gateway: Service, alpha: httpx.AsyncClient) -> None:
    first = await ingest(alpha, {"n": 0})
    wanted = [str(await ingest(alpha, {"n": n})) for n in range(1, 30)]
    async with socket(gateway, f"?last_event_id={first}") as websocket:
        await next_of(websocket)
        assert [(await next_of(websocket))["id"] for _ in wanted] == wanted


@pytest.mark.parametrize(
    ("query", "key", "status", "code"),
    [
        ("?kind=x", KEYS.alpha, 422, "request.invalid"),
        ("?last_event_id=x", KEYS.alpha, 400, "cursor.invalid"),
        ("", KEYS.alpha_publish, 403, "scope.missing"),
        ("", KEYS.unknown, 401, "key.invalid"),
    ],
    ids=["an unknown kind", "a forged id", "without the scope", "an unknown key"],
)
async def test_a_handshake_is_refused_with_the_same_problem(
    gateway: Service, peers: Peers, query: str, key: str, status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await socket(gateway, query, key)
    assert refused.value.response.status_code == status
    assert refused.value.response.body is not None
    assert json.loads(refused.value.response.body)["code"] == code


@pytest.mark.parametrize(("own", "status"), [(True, 101), (False, 403)])
async def test_a_consoles_session_opens_it_from_its_own_pages_alone(
    gateway: Service, peers: Peers, own: bool, status: int
) -> None:
    async with http_client(gateway.url, headers={HEADER: "1"}) as client:
        await client.post("/console/session", json={"key": KEYS.alpha})
        cookie = f"{COOKIE}={client.cookies[COOKIE]}"
    origin = gateway.url if own else "https://elsewhere.example"
    opening = connect(
        gateway.url.replace("http:", "ws:") + "/v1/stream",
        additional_headers={"Cookie": cookie, "Origin": origin},
    )
    if own:
        async with opening as websocket:
            assert websocket.response is not None
            assert websocket.response.status_code == status
            assert (await next_of(websocket))["event"] == "open"
        return
    with pytest.raises(InvalidStatus) as refused:
        await opening
    assert refused.value.response.status_code == status
    assert refused.value.response.body is not None
    assert json.loads(refused.value.response.body)["code"] == "session.foreign"


async def test_there_is_no_other_websocket(gateway: Service, peers: Peers) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(
            gateway.url.replace("http:", "ws:") + "/v1/devices", additional_headers=bearer(KEYS.alpha)
        )
    assert refused.value.response.status_code == 404


async def test_a_client_that_speaks_is_closed(gateway: Service, peers: Peers) -> None:
    async with socket(gateway) as websocket:
        await websocket.send("hello")
        assert await ending_of(websocket) == ("spoke", 1003)


async def test_a_revoked_key_closes_it(gateway: Service, peers: Peers, provisioned_nats: NatsServer) -> None:
    secret = mint("key")
    peers.principals[secret] = Principal(organization=ALPHA, actor="key:key_ofsocket", scopes=("read",))
    async with (
        socket(gateway, key=secret) as websocket,
        platform_client(provisioned_nats, "credentials") as registry,
    ):
        await next_of(websocket)
        await publish_revocation(registry, "key_ofsocket")
        assert await ending_of(websocket) == ("key", 4401)


async def test_a_server_that_stops_says_so(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    service = await asyncio.to_thread(run_service, "gateway", provisioned_nats)
    async with socket(service) as websocket:
        await next_of(websocket)
        service.process.signal(signal.SIGTERM)
        assert await ending_of(websocket) == ("stopping", 1001)
    assert await asyncio.to_thread(service.process.wait, 20) == 0


async def ending_of(websocket: ClientConnection) -> tuple[str, int]:
    """The reason of the last event, and the close code behind it."""
    reason = ""
    try:
        while True:
            said = await next_of(websocket)
            if said["event"] == "end":
                reason = said["data"]["reason"]
    except ConnectionClosed as closed:
        return reason, closed.rcvd.code if closed.rcvd is not None else 1006
