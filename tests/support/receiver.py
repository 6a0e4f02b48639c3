"""A receiver of webhooks: an HTTP server that keeps what came and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.local.ports import LOOPBACK

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} said\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Call:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json["data"]["messages"]
        return found

    @property
    def payloads(self) -> list[str]:
        return [each["payload"] for each in self.messages]


Answer = bytes | None
"""None: the connection ends without one."""


@dataclass
class Receiver:
    """`answers` decides by the call; an answer is sent after `delay_s`, which begins when the call is here."""

    port: int = 0
    scheme: str = "http"
    calls: list[Call] = field(default_factory=list)
    answers: Callable[[Call], Answer] = lambda _: OK
    delay_s: float = 0.0
    open_now: int = 0
    most_at_once: int = 0
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{LOOPBACK}:{self.port}/hook"

    def always(self, said: Answer) -> None:
        self.answers = lambda _: said

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._call(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _call(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        call = Call(first.split()[1], headers, body, asyncio.get_running_loop().time())
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        self.calls.append(call)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self.open_now -= 1
        said = self.answers(call)
        if said is None:
            raise ConnectionResetError
        writer.write(said)
        await writer.drain()


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None, **settings: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback; over TLS with `context`."""
    receiver = Receiver(scheme="http" if context is None else "https", **settings)
    server = await asyncio.start_server(
        receiver.serve, LOOPBACK, receiver.port, ssl=context, limit=4 * 1024 * 1024
    )
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for writer in receiver.writers:
            writer.close()
        await asyncio.sleep(0)  # those who read see the end
