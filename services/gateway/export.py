"""An export as an ASGI application: pages asked for one ahead, sent as the client takes them.

What fails before the first byte is an answer of its own; later the connection is broken off without the end of the
body, so that no client takes a part for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from contracts.exports import ExportPage
from contracts.failures import Failure, Unavailable
from runtime.observe import log, meter
from services.gateway.auth import Secret
from services.gateway.state import Gateway

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Page = tuple[ExportPage, bytes]
Ask = Callable[[ExportPage | None], Awaitable[Page]]
"""The page behind another one; the first."""

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)
_log = log(part="export")
_open = meter.create_up_down_counter("hybridmq.exports", description="Exports under way")
_sent = meter.create_counter("hybridmq.exports.sent", unit="By", description="Bytes of exports sent")


class Encoder(Protocol):
    async def add(self, lines: bytes) -> bytes:
        """What can be sent by now."""
        ...

    async def finish(self) -> bytes: ...


class Broken(Exception):
    """The client takes nothing any more, or may have nothing any more."""


class Export:
    """Its place was taken before, and is given back at the end."""

    def __init__(
        self,
        gateway: Gateway,
        organization: str,
        secret: Secret,
        headers: dict[str, str],
        encoder: Encoder,
        first: Page,
        ask: Ask,
    ) -> None:
        self._gateway, self._settings = gateway, gateway.settings
        self._organization, self._secret = organization, secret
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._encoder, self._first, self._ask = encoder, first, ask

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        _open.add(1)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            if scope.get("head"):
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._run(receive, send)
        finally:
            _open.add(-1)
            self._gateway.exports.leave(self._organization)

    async def _run(self, receive: Receive, send: Send) -> None:
        ways_to_end = [
            asyncio.create_task(self._deliver(send), name="delivered"),
            asyncio.create_task(_disconnected(receive), name="client left"),
        ]
        try:
            done, _ = await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ways_to_end:
                task.cancel()
            await asyncio.gather(*ways_to_end, return_exceptions=True)
        ended = done.pop()
        try:
            ended.result()
        except (Failure, Broken) as why:
            _log.warning("an export is broken off", organization=self._organization, reason=str(why))
            return  # without the end of the body: the server closes the connection
        _log.debug("an export ended", organization=self._organization, reason=ended.get_name())

    async def _deliver(self, send: Send) -> None:
        page, lines = self._first
        while page.position is not None:
            ahead = asyncio.create_task(self._next(page))
            try:
                await self._send(send, await self._encoder.add(lines))
                page, lines = await ahead
            finally:
                ahead.cancel()
        await self._send(send, await self._encoder.add(lines) + await self._encoder.finish())
        await self._send(send, b"", more=False)

    async def _next(self, page: ExportPage) -> Page:
        """Whoever asks still may; telemetry may be away for a while."""
        loop = asyncio.get_running_loop()
        patience_ends, attempt = loop.time() + self._settings.export_patience_s, 0
        while True:
            try:
                await self._gateway.keys.authenticate(self._secret)
                return await self._ask(page)
            except Unavailable as failure:
                if loop.time() > patience_ends:
                    raise
                _log.info("an export waits", organization=self._organization, reason=str(failure))
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if more and not data:
            return
        try:
            async with asyncio.timeout(self._settings.export_send_s):
                await send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise Broken(f"the client took nothing for {self._settings.export_send_s:g} s") from None
        _sent.add(len(data))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
