"""A publisher that notes every acknowledgement, and the comparison with what MESSAGES holds."""

import asyncio
from collections import Counter
from typing import NamedTuple, Self

import aiomqtt

from tests.ingest.conftest import World
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually

WINDOW = {"max_inflight_messages": "500"}  # much is under way whenever something dies
LEASE_S = 10  # how long a dead owner's links wait for the next


async def connected(world: World, times: int) -> None:
    async def up() -> bool:
        return (await world.kinds()).count("link.up") >= times

    await eventually(up, timeout_s=30)


class Verdict(NamedTuple):
    acknowledged: int
    lost: int
    doubled: int


class Ledger:
    """Publishes numbers until stopped, `concurrency` at a time; entered and left around the faults."""

    def __init__(self, port: int, *, qos: int = 1, concurrency: int = 50) -> None:
        self._port, self._qos, self._concurrency = port, qos, concurrency
        self.acknowledged: list[int] = []
        self._next = 0
        self._running = True
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        assert self._task is not None
        await self._task

    async def _run(self) -> None:
        async with mqtt_client(self._port, None, None, max_inflight_messages=self._concurrency) as client:
            client.pending_calls_threshold = self._concurrency + 1
            await asyncio.gather(*(self._publish(client) for _ in range(self._concurrency)))

    async def _publish(self, client: aiomqtt.Client) -> None:
        while self._running:
            self._next += 1
            number = self._next
            await client.publish(f"devices/d{number % 20}/telemetry", f"{number}".encode(), qos=self._qos)
            self.acknowledged.append(number)

    async def verdict(self, world: World, link: str, *, timeout_s: float) -> Verdict:
        """Waits until nothing is missing, or nothing new has come for `timeout_s`."""
        sent, seen, deadline = set(self.acknowledged), -1, 0.0
        clock = asyncio.get_running_loop().time
        while True:
            stored = Counter(int(message.payload) for message in await world.stored(link, anew=True))
            if len(stored) != seen:
                seen, deadline = len(stored), clock() + timeout_s
            lost = sent - stored.keys()
            if not lost or clock() > deadline:
                break
            await asyncio.sleep(0.5)
        doubled = sum(count - 1 for count in stored.values())
        return Verdict(len(sent), len(lost), doubled)
