"""A service's life: start, run its tasks, stop in order on SIGTERM; any task that ends early ends the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import nats.errors
import uvloop

from runtime import health as health_module
from runtime import observe
from runtime.bus import Bus, connect, heard
from runtime.health import Health
from runtime.settings import ServiceSettings

CANCEL_AGAIN_S = 1.0
FLUSH_S = 2


class Service:
    """What a service's `__main__` builds on: its bus, its health, its tasks, what to close at the end."""

    def __init__(self, name: str, settings: ServiceSettings, bus: Bus) -> None:
        self.name = name
        self.settings = settings
        self.bus = bus
        self.health = Health()
        self.stack = AsyncExitStack()
        self.stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._started = False
        self.health.add("start", lambda: None if self._started else "not started")
        self.health.add("nats", lambda: None if bus.connected else "not connected to NATS")

    def task(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Runs for as long as the service does; cancelled at the end, newest first."""
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task

    def on_stop(self, close: Callable[[], Awaitable[Any]]) -> None:
        """Closed after the tasks, the last one first."""
        self.stack.push_async_callback(close)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, or until a task ends: then its exception is the process's."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        ends = [
            asyncio.create_task(self.stopping.wait(), name="stop"),
            asyncio.create_task(self.bus.closed.wait(), name="nats closed"),
        ]
        log = observe.log()
        # Calls are answered from here on: what is subscribed has reached the server, or will when it is back.
        with suppress(nats.errors.Error, TimeoutError):
            await heard(self.bus.client, FLUSH_S)
        self._started = True
        log.info("running")
        done, _ = await asyncio.wait([*ends, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping = self.stopping.is_set()
        self.stopping.set()
        log.info("stopping", reason=", ".join(sorted(task.get_name() for task in done)))
        for task in [*reversed(self._tasks), *ends]:
            # One after the other: what a later task needs to finish its work (a log writer) outlives it.
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.stack.aclose()
        if not stopping:
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            raise SystemExit(1)


@asynccontextmanager
async def started(name: str, settings: ServiceSettings) -> AsyncIterator[Service]:
    """A service connected to the bus, with its health listener; the bus is closed at the end."""
    observe.set_up(name, settings.log_level)
    service = Service(name, settings, await connect(settings, name))
    try:
        if settings.health_port:
            listener = health_module.server(service.health, settings.health_host, settings.health_port)
            # `serve` would take the signals: they are ours
            service.task(listener._serve(), "health listener")  # noqa: SLF001
        yield service
    finally:
        await service.bus.broker.stop()


def main(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a service's coroutine on uvloop."""
    uvloop.run(work())
