"""GET /v1/stream: an organization's messages as server-sent events, resumable without a gap.

One consumer of MESSAGES per reader, so a slow reader delays nobody; what a reader may hold up is bounded, and
one that takes nothing is cut off.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from contracts.failures import Failure, Refused, Unavailable
from contracts.organizations import Principal
from contracts.streams import MESSAGES
from contracts.subjects import messages_of
from runtime import jetstream
from runtime.bus import Bus
from runtime.jetstream import ApiError
from runtime.observe import log, meter
from runtime.pull import Pull
from services.gateway import live_format
from services.gateway.auth import Keys, Secret
from services.gateway.settings import GatewaySettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEARTBEAT_S = 15.0  # proxies close what is silent for 30 to 60 s
BATCH_MAX = 50
CHUNK_BYTES_MAX = 256 * 1024  # handed to the socket at once: what a reader that takes nothing holds up
HELD_MAX = 64  # messages that the log may send ahead of a reader
RECHECK_S = 30.0  # a revocation that passed while the bus was away is noticed within this
AWAY_S = 1.0
_log = log(part="live")
_readers = meter.create_up_down_counter("hybridmq.stream.readers", description="Open readers of /v1/stream")


@dataclass(eq=False)
class Reader:
    """One open stream."""

    principal: Principal
    secret: Secret
    after: int | None  # the last sequence that the client has
    device_id: str | None
    recheck: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """All open streams of this process."""

    def __init__(self, bus: Bus, keys: Keys, settings: GatewaySettings, choose: live_format.Choose) -> None:
        self._bus, self._keys, self._settings, self._choose = bus, keys, settings, choose
        self._open: set[Reader] = set()
        self._per_organization: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        keys.on_change(self._on_change)

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
        """Raises Refused("limit.reached") when there are too many; `run` gives the place back."""
        organization = reader.principal.organization
        if self._stopping.is_set():
            raise Unavailable("service.unavailable", "this server is stopping; connect again")
        if len(self._open) >= self._settings.streams_max:
            raise Unavailable("service.unavailable", "this server has no place for another stream; try again")
        if self._per_organization[organization] >= self._settings.streams_per_organization_max:
            limit = self._settings.streams_per_organization_max
            raise Refused("limit.reached", f"an organization has at most {limit} open streams here")
        self._open.add(reader)
        self._per_organization[organization] += 1
        _readers.add(1)

    def leave(self, reader: Reader) -> None:
        if reader in self._open:
            self._open.remove(reader)
            _readers.add(-1)
            self._per_organization[reader.principal.organization] -= 1
            self._per_organization += Counter()  # drops the zeros

    async def start(self, reader: Reader) -> tuple[int, bytes | None]:
        """The sequence to begin at, and the gap to tell first, where there is one."""
        try:
            state = await jetstream.stream_state(self._bus.client, MESSAGES.name)
        except ApiError as error:
            raise Unavailable("log.unavailable", str(error)) from error
        if reader.after is None:
            return state.last + 1, None
        if reader.after > state.last:
            gap = live_format.gap("recreated", reader.after, state.last + 1)
            return state.last + 1, gap
        if reader.after + 1 < state.first:
            return state.first, live_format.gap("trimmed", reader.after, state.first)
        return reader.after + 1, None

    async def run(self, reader: Reader, start: int, gap: bytes | None, receive: Receive, send: Send) -> None:
        """Sends until the client goes, the key ends, the time is over or the process stops."""
        pull = Pull(
            self._bus.client,
            MESSAGES.name,
            start=start,
            filters=messages_of(reader.principal.organization),
            messages_max=HELD_MAX,
            bytes_max=CHUNK_BYTES_MAX * 4,
            name="live",
        )
        ways_to_end = [
            asyncio.create_task(self._deliver(reader, pull, gap, send), name="slow or gone"),
            asyncio.create_task(_disconnected(receive), name="client left"),
            asyncio.create_task(self._over(reader), name="over"),
        ]
        try:
            done, _ = await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ways_to_end:
                task.cancel()
            await asyncio.gather(*ways_to_end, return_exceptions=True)
            await pull.close()
        ended = done.pop()
        _log.debug("stream ended", organization=reader.principal.organization, reason=ended.get_name())
        if ended.get_name() == "over":
            async with asyncio.timeout(1.0):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif isinstance(ended.exception(), TimeoutError):
            _log.info("a reader that took nothing is cut off", organization=reader.principal.organization)
        else:
            ended.result()

    async def _deliver(self, reader: Reader, pull: Pull, gap: bytes | None, send: Send) -> None:
        await self._send(send, live_format.opening() + (gap or b""))
        formatter = live_format.Formatter(self._choose, reader.device_id)
        while True:
            try:
                entries = await pull.next_batch(BATCH_MAX, timeout_s=HEARTBEAT_S)
            except (Unavailable, ApiError) as error:
                # The log comes back, and we go on where we were; meanwhile the client is told that we live.
                _log.warning("the log is away", error=str(error))
                await self._send(send, live_format.HEARTBEAT)
                await asyncio.sleep(AWAY_S)
                continue
            if not entries:
                await self._send(send, live_format.HEARTBEAT)
            chunk = bytearray()
            for entry in entries:
                chunk += formatter.message(entry)
                if len(chunk) > CHUNK_BYTES_MAX:
                    await self._send(send, bytes(chunk))
                    chunk.clear()
            if chunk:
                await self._send(send, bytes(chunk))

    async def _send(self, send: Send, data: bytes) -> None:
        """Raises TimeoutError for a reader that takes nothing: the server then closes its connection."""
        async with asyncio.timeout(self._settings.stream_send_s):
            await send({"type": "http.response.body", "body": data, "more_body": True})

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
                return

    async def _holds(self, reader: Reader) -> bool:
        try:
            principal = await self._keys.authenticate(reader.secret)
        except Refused:
            return False
        except Failure as failure:
            _log.warning("cannot ask about a stream's key", error=str(failure))
            return True  # asked again soon; nobody said that it is revoked
        return principal.actor == reader.principal.actor


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
