"""Gateways are exchanged one after the other, as a rollout does it: no request is lost, no stream has a gap."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import httpx
import pytest

from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from tests.gateway.peers import KEYS, Peers, bearer
from tests.gateway.sse import opened
from tests.support.clients import http_client
from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
PRE_STOP_S = 0.5
"""In the manifests 10 s: until whoever sends has heard that a pod leaves."""
SENDERS = 4


def client_of(pod: Service) -> httpx.AsyncClient:
    return http_client(pod.url, headers=bearer(KEYS.alpha), timeout=20)


class Balancer:
    """What a Service of Kubernetes does: each new connection goes to one of the pods that are ready."""

    def __init__(self, *ready: Service) -> None:
        self.ready = list(ready)
        self._turn = count()

    def choose(self) -> Service:
        return self.ready[next(self._turn) % len(self.ready)]

    def client(self) -> httpx.AsyncClient:
        return client_of(self.choose())

    async def replace(self, old: Service, new: Service) -> None:
        """One step of a rollout: the new one is ready before the old one hears of its end."""
        await asyncio.to_thread(new.start)
        self.ready.append(new)
        self.ready.remove(old)
        await asyncio.sleep(PRE_STOP_S)
        old.process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(old.process.wait, 30) == 0


class Sender:
    """One request after the other, each over a connection of its own, or, as a proxy does it, over one that it keeps
    to each pod that is ready; `run()` until it is told to leave off."""

    def __init__(self, balancer: Balancer, *, keeps: bool) -> None:
        self._balancer = balancer
        self._keeps = keeps
        self._kept: dict[int, httpx.AsyncClient] = {}
        self.sent: list[int] = []
        self.failed: list[str] = []
        self.leave_off = False

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        pod = self._balancer.choose()
        if self._keeps:
            yield self._kept.setdefault(pod.port, client_of(pod))
            return
        async with client_of(pod) as client:
            yield client

    async def run(self) -> None:
        body = {"topic": "devices/rollout/telemetry", "payload": {"a": 1}}
        while not self.leave_off:
            try:
                async with self._client() as client:
                    answer = await client.post("/v1/ingest", json=body)
            except httpx.HTTPError as error:
                self.failed.append(repr(error))
                continue
            if answer.status_code == 202:
                self.sent.append(int(answer.json()["sequence"]))
            else:
                self.failed.append(f"{answer.status_code} {answer.text}")
        for client in self._kept.values():
            await client.aclose()


class Reader:
    """A live stream, resumed wherever the balancer leads; `run()` until it is cancelled."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self.got: list[int | str | None] = []
        self.streams = 0

    async def run(self) -> None:
        after: int | str | None = None
        while True:
            async with (
                self._balancer.client() as client,
                opened(client, after=after, device_id="rollout") as stream,
            ):
                self.streams += 1
                while (event := await stream.next(timeout_s=60)) is not None:
                    after = event.id or after
                    if event.event == "message":
                        self.got.append(event.id)


async def test_a_rollout_of_two_gateways_loses_no_request_and_no_event(
    provisioned_nats: NatsServer, run_service: Callable[..., Service], peers: Peers
) -> None:
    # In threads: the peers live in this event loop, and nats-server gives up who does not answer its pings.
    pods = [await asyncio.to_thread(run_service, "gateway", provisioned_nats) for _ in range(2)]
    balancer = Balancer(*pods)
    reader, senders = Reader(balancer), [Sender(balancer, keeps=bool(n % 2)) for n in range(SENDERS)]

    def sent() -> list[int]:
        return sorted(sequence for sender in senders for sequence in sender.sent)

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(reader.run())
        await eventually(lambda: reader.streams)
        sending = [tasks.create_task(sender.run()) for sender in senders]
        await eventually(lambda: len(sent()) > 20)
        for old in pods:
            log = old.process.log.with_name(f"instead-of-{old.port}.log")
            await balancer.replace(old, Service("gateway", _other_port(old), log))
        before = len(sent())
        await eventually(lambda: len(sent()) > before + 20)
        for sender in senders:
            sender.leave_off = True
        await asyncio.wait(sending)
        await eventually(lambda: set(sent()) <= set(reader.got), timeout_s=60)
        reading.cancel()
    for pod in balancer.ready:
        pod.process.stop()
    assert [sender.failed for sender in senders] == [[]] * SENDERS
    assert reader.got == sent(), "each event once, in order"
    assert reader.streams > 1


def _other_port(service: Service) -> dict[str, str]:
    return {**service.env, "HTTP_PORT": str(free_port()), "HEALTH_PORT": str(free_port())}
