"""POST /v1/ingest/stream: lines in and results out at the same time, with bounded memory on both sides."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from contracts.failures import Failure, Refused, Unavailable
from runtime.log_writer import Stored
from runtime.observe import log
from services.gateway.compressed import Gunzip
from services.gateway.problems import problem
from services.gateway.sending import Sender
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Gateway

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WAITING_MAX = 1_000  # lines on their way to the log: more would only wait elsewhere
ANSWER_BYTES = 16 * 1024  # results sent at once while lines come quickly
READ_BYTES = 64 * 1024
_log = log(part="ingest stream")


class _Line(NamedTuple):
    number: int
    stored: asyncio.Future[Stored] | None
    refused: Refused | None


class _Gone(Exception):
    """The client left, or takes nothing any more."""


class Conversation:
    """The answer to one request, as an ASGI application; it was admitted before."""

    def __init__(
        self, sender: Sender, gateway: Gateway, organization: str, *, gzip: bool, refused_only: bool
    ) -> None:
        self._sender, self._settings, self._ingests = sender, gateway.settings, gateway.ingests
        self._organization, self._refused_only = organization, refused_only
        self._gunzip = Gunzip() if gzip else None
        self._rest = b""
        self._waiting: deque[_Line] = deque()
        self._lines = self._accepted = self._refused = self._unavailable = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        del scope
        answering = _Answering(send, self._settings.stream_send_s)
        try:
            await answering.begin()
            try:
                await self._converse(receive, answering)
            except Failure as failure:
                await self._tell_waiting(answering, most=0)
                answering.add({"line": self._lines + 1, "error": problem(failure)})
            summary = {
                "lines": self._lines,
                "accepted": self._accepted,
                "refused": self._refused,
                "unavailable": self._unavailable,
            }
            answering.add({"summary": summary})
            await answering.end()
        except _Gone:
            _log.info("an ingest stream was cut off", organization=self._organization, lines=self._lines)
        finally:
            self._ingests.leave(self._organization)

    async def _converse(self, receive: Receive, answering: _Answering) -> None:
        """Until the body ends, or the log takes nothing; raises Refused for a body that cannot be read on."""
        ended = False
        while not ended and not self._unavailable:
            data, ended = await self._read(receive)
            while data:
                for line in self._whole_lines(data):
                    self._take(line)
                    if len(self._waiting) >= WAITING_MAX:
                        await self._tell_waiting(answering, most=WAITING_MAX // 2)
                data = self._gunzip.feed(b"", READ_BYTES) if self._gunzip and self._gunzip.more else b""
            # What is stored is said at once where nothing more is here to be read.
            await self._tell_waiting(answering, most=0)
        if ended and not self._unavailable:
            if self._gunzip is not None:
                self._gunzip.finish()
            if self._rest.strip():
                self._take(self._rest)
            await self._tell_waiting(answering, most=0)

    async def _read(self, receive: Receive) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(self._settings.ingest_idle_s):
                event = await receive()
        except TimeoutError:
            raise Refused(
                "request.malformed", f"nothing came for {self._settings.ingest_idle_s:g} s"
            ) from None
        if event["type"] == "http.disconnect":
            raise _Gone
        body: bytes = event.get("body", b"")
        if self._gunzip is not None and body:
            body = self._gunzip.feed(body, READ_BYTES)
        return body, not event.get("more_body", False)

    def _whole_lines(self, data: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MESSAGE_BODY_BYTES_MAX:
            raise Refused("request.too_large", f"a line has at most {MESSAGE_BODY_BYTES_MAX} bytes")
        return whole

    def _take(self, line: bytes) -> None:
        self._lines += 1
        if not line.strip():
            return
        try:
            if len(line) > MESSAGE_BODY_BYTES_MAX:
                raise Refused("request.too_large", f"a line has at most {MESSAGE_BODY_BYTES_MAX} bytes")
            self._waiting.append(_Line(self._lines, self._sender.submit(line, self._lines), None))
        except Refused as refused:
            self._waiting.append(_Line(self._lines, None, refused))
        except Unavailable as failure:
            refusal: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
            refusal.set_exception(failure)
            self._waiting.append(_Line(self._lines, refusal, None))

    async def _tell_waiting(self, answering: _Answering, *, most: int) -> None:
        """Results in the order of the lines, until no more than `most` wait."""
        while len(self._waiting) > most:
            await self._tell(self._waiting.popleft(), answering)
            if answering.full:
                await answering.flush()
        await answering.flush()

    async def _tell(self, line: _Line, answering: _Answering) -> None:
        if line.stored is None:
            assert line.refused is not None
            self._refused += 1
            answering.add({"line": line.number, "error": problem(line.refused)})
            return
        try:
            async with asyncio.timeout(self._settings.ingest_timeout_s):
                sequence, duplicate = await line.stored
        except (TimeoutError, Unavailable):
            self._unavailable += 1
            failure = Unavailable("log.unavailable", "the log did not take it; send it again")
            answering.add({"line": line.number, "error": problem(failure)})
            return
        self._accepted += 1
        if not self._refused_only:
            answering.add({"line": line.number, "sequence": sequence, "duplicate": duplicate})


class _Answering:
    """Lines of the answer, sent by the handful."""

    def __init__(self, send: Send, patience_s: float) -> None:
        self._send, self._patience_s = send, patience_s
        self._held: list[bytes] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return self._size >= ANSWER_BYTES

    def add(self, line: dict[str, Any]) -> None:
        self._held.append(to_json(line) + b"\n")
        self._size += len(self._held[-1])

    async def begin(self) -> None:
        headers = [(b"content-type", b"application/x-ndjson"), (b"x-accel-buffering", b"no")]
        await self._out({"type": "http.response.start", "status": 200, "headers": headers})

    async def flush(self) -> None:
        if self._held:
            body, self._held, self._size = b"".join(self._held), [], 0
            await self._out({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self.flush()
        await self._out({"type": "http.response.body", "body": b"", "more_body": False})

    async def _out(self, event: MutableMapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._send(event)
        except TimeoutError:
            raise _Gone from None
