"""The end of a log, read once in this process for all live streams, as long as there are any.

Without a filter: with one the server looks at every device's subject for each message (decision 7), and a
consumer for each reader makes it send each message so many times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

from nats.aio.client import Client

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log as logger
from runtime.pull import Entry, Pull
from services.gateway.live.logs import Log

BATCH_MAX = 100  # then others have their turn
IDLE_S = 30.0  # a page that is loaded again does not make it begin anew
QUIET_S = 5.0
AWAY_S = 0.5
READY_S = 5.0
_log = logger(part="live")


class Listener(Protocol):
    def said(self, log: Log, entry: Entry) -> None: ...

    def flush(self) -> None: ...

    def missed(self, log: Log, reason: str, after: int, resumes_at: int) -> None: ...

    def listens(self, log: Log) -> bool: ...


class _Recreated(Exception):
    """The stream is another one than the one that was read."""


class Tail:
    """`run()` is its task."""

    def __init__(self, client: Client, log: Log, listener: Listener) -> None:
        self._client, self._log, self._listener = client, log, listener
        self.position = 0
        """The last sequence that the listener was told of, or that was before it began to listen."""
        self._created = ""
        self._used_at = 0.0
        self._wanted, self._ready, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ready(self) -> None:
        """Returns when it reads, and will for a while; raises Unavailable("log.unavailable")."""
        self._used_at = time.monotonic()
        self._wanted.set()
        await self._within(self._ready.wait())

    async def reached(self, sequence: int) -> None:
        """Returns when the position is there, or beyond; raises Unavailable("log.unavailable")."""

        await self.ready()

        async def there() -> None:
            while self.position < sequence:
                self._moved.clear()
                await self._moved.wait()

        await self._within(there())

    async def _within(self, work: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(READY_S):
                await work
        except TimeoutError:
            raise Unavailable("log.unavailable", f"{self._log.stream} cannot be read now") from None

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except (Unavailable, ApiError) as error:
                _log.warning("the log is away", stream=self._log.stream, error=str(error))
                await asyncio.sleep(AWAY_S)
            except _Recreated:
                _log.warning("the log is another one now", stream=self._log.stream)

    async def _follow(self) -> None:
        """Until nobody has listened for a while."""
        state = await jetstream.stream_state(self._client, self._log.stream)
        if not self._ready.is_set():  # nobody has been told anything yet
            self.position = state.last
        elif state.created != self._created or state.last < self.position:
            self._miss("recreated", state.first)
        self._created = state.created
        self._ready.set()
        pull = Pull(self._client, self._log.stream, start=self.position + 1, name="live", check=self._check)
        try:
            while time.monotonic() < self._used_at + IDLE_S:
                entries = await pull.next_batch(BATCH_MAX, timeout_s=QUIET_S)
                for entry in entries:  # nobody else has a turn until all of them are given out
                    self._listener.said(self._log, entry)
                    self.position = entry.sequence
                self._listener.flush()
                if entries:
                    self._moved.set()
                    await asyncio.sleep(0)
                if self._listener.listens(self._log):
                    self._used_at = time.monotonic()
            self._ready.clear()
            self._wanted.clear()
        finally:
            await pull.close()

    async def _check(self) -> None:
        """Behind each (re)start of reading, before anything is handed out."""
        state = await jetstream.stream_state(self._client, self._log.stream)
        if state.created != self._created or state.last < self.position:
            raise _Recreated
        if state.first > self.position + 1:
            self._miss("trimmed", state.first)

    def _miss(self, reason: str, first: int) -> None:
        after, self.position = self.position, first - 1
        self._listener.missed(self._log, reason, after, first)
        self._moved.set()
