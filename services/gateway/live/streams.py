"""All open streams of this process: who may open one, what ends one, and how its reader is told."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

from contracts.failures import Failure, Refused, Unavailable
from runtime.bus import Bus
from runtime.jetstream import ApiError
from runtime.observe import from_zero, log, meter
from services.gateway.auth import Keys
from services.gateway.live import wire
from services.gateway.live.hub import Hub
from services.gateway.live.logs import LOGS
from services.gateway.live.reader import Reader
from services.gateway.live.reading import Choose
from services.gateway.live.resuming import Resuming
from services.gateway.live.socket import of
from services.gateway.live.tail import Tail
from services.gateway.live.wire import Event, Wire
from services.gateway.settings import GatewaySettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEARTBEAT_S = 15.0  # proxies close what is silent for 30 to 60 s
TICK_S = 5.0
RECHECK_S = 30.0  # a revocation that passed while the bus was away is noticed within this
AWAY_S = 1.0
LAST_WORDS_S = 1.0  # for a reader that is ended to take the reason
_log = log(part="live")
_readers = meter.create_up_down_counter("hybridmq.stream.readers", description="Open readers of /v1/stream")
from_zero(_readers)
_ended = meter.create_counter("hybridmq.stream.ended", description="Streams that ended, by reason")


class Ending(NamedTuple):
    code: int  # of the WebSocket's close frame (RFC 6455 §7.4)
    detail: str
    resume: bool = True


ENDINGS = {
    "time": Ending(1000, "a stream ends after some minutes: resume behind the last id"),
    "stopping": Ending(1001, "this server is stopping: resume behind the last id"),
    "spoke": Ending(1003, "this WebSocket takes no messages", resume=False),
    "slow": Ending(1013, "you took nothing for a while: resume behind the last id"),
    "log": Ending(1012, "the log changed while you caught up: resume behind the last id"),
    "key": Ending(4401, "the key no longer holds", resume=False),
}


class Live:
    """`run()` is its task."""

    def __init__(self, bus: Bus, keys: Keys, settings: GatewaySettings, choose: Choose) -> None:
        self._keys, self._settings = keys, settings
        self._hub = Hub(choose, lambda log: self._tails[log.letter].position)
        self._tails = {log.letter: Tail(bus.client, log, self._hub) for log in LOGS}
        self._resuming = Resuming(bus.client, self._hub, self._tails, choose, send_s=settings.stream_send_s)
        self._open: set[Reader] = set()
        self._per_organization: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        keys.on_change(self._on_change)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for letter, tail in self._tails.items():
                tasks.create_task(tail.run(), name=f"tail {letter}")

    def stop(self) -> None:
        """Ends every stream: their clients resume elsewhere."""
        self._stopping.set()
        for reader in self._open:
            reader.recheck.set()

    def _on_change(self, organization: str, actor: str) -> None:
        for reader in self._open:
            held = reader.principal
            if held.organization == organization and (not actor or held.actor == actor):
                reader.recheck.set()

    def admit(self, reader: Reader) -> None:
        """Raises Refused("limit.reached") when there are too many; `leave` gives the place back."""
        if self._stopping.is_set():
            raise Unavailable("service.unavailable", "this server is stopping; connect again")
        if len(self._open) >= self._settings.streams_max:
            raise Unavailable("service.unavailable", "this server has no place for another stream; try again")
        limit = self._settings.streams_per_organization_max
        if self._per_organization[reader.organization] >= limit:
            raise Refused("limit.reached", f"an organization has at most {limit} open streams here")
        self._open.add(reader)
        self._per_organization[reader.organization] += 1
        _readers.add(1)

    def leave(self, reader: Reader) -> None:
        self._hub.part(reader)
        if reader in self._open:
            self._open.remove(reader)
            _readers.add(-1)
            self._per_organization[reader.organization] -= 1
            self._per_organization += Counter()  # drops the zeros

    async def start(self, reader: Reader) -> list[Event]:
        """The gaps to tell first, where there are some. Raises Unavailable("log.unavailable")."""
        for found in reader.selection.logs:
            await self._tails[found.letter].ready()
        try:
            return await self._resuming.gaps(reader)
        except ApiError as error:
            raise Unavailable("log.unavailable", str(error)) from error

    async def serve(
        self, reader: Reader, gaps: list[Event], scope: Any, receive: Receive, send: Send
    ) -> None:
        """Until the client goes, the key ends, the time is over or the process stops."""
        http_1_1 = scope["http_version"] != "1.0"
        form = Wire.FRAMES if scope.get("websocket") else Wire.CHUNKS if http_1_1 else Wire.PLAIN
        reader.begin(of(scope), form)
        ways_to_end = [
            asyncio.create_task(self._deliver(reader, gaps), name="deliver"),
            asyncio.create_task(_disconnected(reader, receive), name="client left"),
            asyncio.create_task(self._over(reader), name="over"),
            asyncio.create_task(reader.ended.wait(), name="ended"),
        ]
        try:
            done, _ = await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.part(reader)
            for task in ways_to_end:
                task.cancel()
            await asyncio.gather(*ways_to_end, return_exceptions=True)
        if any(task.get_name() == "client left" for task in done) and not reader.ended.is_set():
            return
        for task in done:
            task.result()
        await self._close(reader, send)

    async def _close(self, reader: Reader, send: Send) -> None:
        ending = ENDINGS[reader.why]
        _ended.add(1, {"reason": reader.why})
        _log.info("a stream is ended", organization=reader.organization, reason=reader.why)
        said = Event(None, "end", wire.end(reader.why, ending.detail, ending.resume))
        reader.write(wire.encoded(reader.form, [said]))
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await reader.socket.drain()
                if reader.form is Wire.FRAMES:
                    await send(
                        {"type": "websocket.close", "code": ending.code, "reason": ending.detail[:120]}
                    )
                else:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            reader.socket.abort()  # it does not take its last words either, or is gone

    async def _deliver(self, reader: Reader, gaps: list[Event]) -> None:
        first = wire.opening(reader.form)
        reader.write(first + wire.encoded(reader.form, gaps) if gaps else first)
        while not reader.ended.is_set():
            try:
                await self._resuming.catch_up(reader)
                await self._watch(reader)
            except TimeoutError:
                reader.end("slow")
                return
            except (Unavailable, ApiError) as error:
                # The log comes back, and we go on where we were; meanwhile the client is told that we live.
                _log.warning("the log is away", error=str(error))
                self._hub.part(reader)
                reader.write(wire.heartbeat(reader.form))
                await asyncio.sleep(AWAY_S)

    async def _watch(self, reader: Reader) -> None:
        """Heartbeats where it is quiet; the end of a reader that takes nothing. Returns when it falls behind."""
        tick_s = min(TICK_S, self._settings.stream_send_s / 4)
        taken, took_at = 0, time.monotonic()
        while not reader.ended.is_set() and not reader.behind.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(tick_s):
                    await reader.behind.wait()
            now, waiting = time.monotonic(), reader.socket.waiting_bytes
            if waiting == 0 or reader.written - waiting > taken:
                taken, took_at = reader.written - waiting, now
            elif now - took_at >= self._settings.stream_send_s:
                reader.end("slow")
            if waiting == 0 and now - reader.wrote_at >= HEARTBEAT_S:
                reader.write(wire.heartbeat(reader.form))

    async def _over(self, reader: Reader) -> None:
        """Returns when the process stops, the time is up or the key no longer holds."""
        lasts_s = self._settings.stream_lasts_s * random.uniform(0.8, 1.2)
        ends = asyncio.get_running_loop().time() + lasts_s
        while not self._stopping.is_set() and (left_s := ends - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(min(left_s, RECHECK_S)):
                    await reader.recheck.wait()
            except TimeoutError:
                pass
            reader.recheck.clear()
            if not self._stopping.is_set() and not await self._holds(reader):
                reader.end("key")
                return
        reader.end("stopping" if self._stopping.is_set() else "time")

    async def _holds(self, reader: Reader) -> bool:
        try:
            principal = await self._keys.authenticate(reader.secret)
        except Refused:
            return False
        except Failure as failure:
            _log.warning("cannot ask about a stream's key", error=str(failure))
            return True  # asked again soon; nobody said that it is revoked
        return principal.actor == reader.principal.actor


async def _disconnected(reader: Reader, receive: Receive) -> None:
    """Returns when the client has gone; one that speaks where it should listen is ended."""
    while (message := await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        if message["type"] == "websocket.receive":
            reader.end("spoke")
