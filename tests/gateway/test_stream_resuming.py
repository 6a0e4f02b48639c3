"""A reader that comes back, at whichever replica: nothing missing, nothing doubled, and told where that cannot be."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client as NatsClient

from contracts.streams import MESSAGES
from deploy.local import environment
from deploy.local.nats import NatsServer
from tests.gateway.peers import ALPHA, KEYS, Peers, bearer, started_peers
from tests.gateway.sse import Event, opened
from tests.gateway.test_stream import ingest
from tests.gateway.test_stream_kinds import happened
from tests.support.clients import http_client, platform_client
from tests.support.eventually import eventually
from tests.support.service import Service, run_module

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def gateways(own_nats: NatsServer, run_service: Callable[..., Service]) -> tuple[Service, Service]:
    return run_service("gateway", own_nats), run_service("gateway", own_nats)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_peers(own_nats: NatsServer, gateways: tuple[Service, Service]) -> AsyncIterator[Peers]:
    async with started_peers(own_nats) as peers:
        yield peers


@pytest.fixture(scope="module")
def replicas(gateways: tuple[Service, Service], own_peers: Peers) -> tuple[Service, Service]:
    return gateways


async def test_a_reader_goes_on_at_another_replica_when_its_own_is_killed(
    replicas: tuple[Service, Service], own_nats: NatsServer
) -> None:
    """Two logs, written all the time; each replica is killed once."""
    kinds = ["messages", "activity"]
    count = 400
    got: list[Event] = []
    reads = asyncio.Event()

    async def write() -> list[tuple[str, int]]:
        written: list[tuple[str, int]] = []
        async with (
            platform_client(own_nats, "telemetry") as telemetry,
            platform_client(own_nats, "ingest") as bus,
        ):
            for n in range(count):
                if n % 4:
                    written.append(("message", await message(bus, n)))
                else:
                    written.append(("activity", await happened(telemetry, "link.up")))
                await asyncio.sleep(0.005)
        return written

    async def read() -> None:
        turn, after = 0, None
        while len(got) < count:
            service = replicas[turn % 2]
            async with http_client(service.url, headers=bearer(KEYS.alpha), timeout=30) as client:
                try:
                    async with opened(client, after=after, kind=kinds) as stream:
                        reads.set()
                        while len(got) < count and (event := await stream.next(timeout_s=30)) is not None:
                            got.append(event)
                            after = event.id
                            if len(got) in (100, 250):
                                service.process.kill()
                except httpx.TransportError:
                    await asyncio.to_thread(service.start)
                    turn += 1

    reading = asyncio.create_task(read())
    opening = asyncio.create_task(reads.wait())
    await asyncio.wait((reading, opening), return_when=asyncio.FIRST_COMPLETED)
    assert not reading.done(), reading
    written = await write()
    async with asyncio.timeout(60):
        await reading
    for kind in ("message", "activity"):
        assert [event.data["sequence"] for event in got if event.event == kind] == [
            sequence for each, sequence in written if each == kind
        ]


async def test_many_that_come_back_at_once_each_get_all(replicas: tuple[Service, Service]) -> None:
    async with http_client(
        replicas[0].url, headers=bearer(KEYS.alpha), timeout=30, limits=httpx.Limits()
    ) as client:
        first = await ingest(client, {"n": 0})
        wanted = [await ingest(client, {"n": n}) for n in range(1, 50)]

        async def resumed() -> list[object]:
            async with opened(client, after=first) as stream:
                return [event.id for event in await stream.take(50)]

        readers = [asyncio.create_task(resumed()) for _ in range(40)]
        wanted.append(await ingest(client, {"n": 50}))
        assert await asyncio.gather(*readers) == [wanted] * 40


async def test_what_was_trimmed_is_told_as_a_gap(
    replicas: tuple[Service, Service], own_nats: NatsServer
) -> None:
    async with http_client(replicas[0].url, headers=bearer(KEYS.alpha), timeout=30) as client:
        sent = [await ingest(client, {"n": n}) for n in range(20)]
        await keep(own_nats, 5)
        async with opened(client, after=sent[0]) as stream:
            gap, *rest = await stream.take(6)
        await keep(own_nats, -1)
    assert (gap.event, gap.data["reason"], gap.data["log"]) == ("gap", "trimmed", "messages")
    assert (gap.data["last_event_id"], gap.data["resumes_at"]) == (sent[0], sent[15])
    assert gap.id == sent[14]
    assert [event.id for event in rest] == sent[15:]


async def test_a_log_made_anew_is_told_to_whoever_reads_and_to_whoever_comes_back(
    replicas: tuple[Service, Service], own_nats: NatsServer
) -> None:
    async with http_client(replicas[0].url, headers=bearer(KEYS.alpha), timeout=30) as client:
        last = [await ingest(client, {"n": n}) for n in range(30)][-1]
        async with opened(client) as stream:
            await asyncio.to_thread(own_nats.stop)
            await asyncio.to_thread(shutil.rmtree, own_nats._store)
            await asyncio.to_thread(own_nats.start)
            await asyncio.to_thread(run_module, "runtime.provision", environment.provision(own_nats))
            gap = await stream.next(timeout_s=60)
            assert gap is not None
            assert (gap.event, gap.data["reason"]) == ("gap", "recreated")

            async def taken() -> int:
                answer = await client.post(
                    "/v1/ingest", json={"topic": "devices/d1/telemetry", "payload": {"n": 1}}
                )
                return int(answer.json().get("sequence", 0))

            sequence = await eventually(taken)
            event = await stream.next(timeout_s=30)
            assert event is not None
            assert event.id == sequence < last
        async with opened(client, after=last) as stream:
            gap = await stream.next()
            assert gap is not None
            assert (gap.event, gap.data["reason"]) == ("gap", "recreated")


async def message(client: NatsClient, n: int) -> int:
    from datetime import UTC, datetime

    from contracts import messages, subjects

    topic = f"{ALPHA}/devices/d1/telemetry"
    headers = messages.headers(
        id=f"n{n}", topic=topic, qos=1, retain=False, received=datetime.now(UTC), source="int_x"
    )
    answer = await client.request(
        subjects.message(ALPHA, "int_x", "d1"), json.dumps({"n": n}).encode(), headers=headers, timeout=5
    )
    return int(json.loads(answer.data)["seq"])


async def keep(server: NatsServer, count: int) -> None:
    """Lets MESSAGES have so many messages at most."""
    async with platform_client(server, "provision") as client:
        info = json.loads((await client.request(f"$JS.API.STREAM.INFO.{MESSAGES.name}", timeout=5)).data)
        body = json.dumps({**info["config"], "max_msgs": count}).encode()
        answer = json.loads(
            (await client.request(f"$JS.API.STREAM.UPDATE.{MESSAGES.name}", body, timeout=5)).data
        )
        assert "error" not in answer, answer
