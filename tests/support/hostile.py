"""Peers on loopback that do exactly what a test says: silent ones, rude ones, ones that are no broker."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deploy.local.ports import LOOPBACK
from tests.support.certificates import Certificates
from tests.support.mqtt_wire import packet

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEARD_MAX = 4_096  # bytes of a connection that are remembered
ACCEPTED_311 = packet(0x20, b"\0\0")
ACCEPTED_5 = packet(0x20, b"\0\0\0")


class Peer:
    """What came first, connection by connection, in `heard`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: list[bytearray] = []
        self.arrived = asyncio.Event()
        """At the first connection."""

    @property
    def connections(self) -> int:
        return len(self.heard)


@contextlib.asynccontextmanager
async def peer(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Every connection is answered by `answer`, and closed when that returns."""
    tasks: set[asyncio.Task[None]] = set()
    made: Peer

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        made.heard.append(heard)
        made.arrived.set()
        feed = reader.feed_data

        def remember(data: Any) -> None:
            heard.extend(data[: HEARD_MAX - len(heard)])
            feed(data)

        reader.feed_data = remember  # type: ignore[method-assign]
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # at the end of the test
                await answer(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, LOOPBACK, 0, ssl=tls)
    made = Peer(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Takes everything, says nothing, until the other side leaves."""
    while await reader.read(65536):
        pass


async def obliging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Grants every further SUBSCRIBE of 3.1.1 that has one filter, and answers pings."""
    while data := await reader.read(65536):
        while len(data) > 1:
            size = 2 + data[1]  # short packets are all that we are sent
            if data[0] == 0x82:
                writer.write(packet(0x90, data[2:4] + b"\0"))
            elif data[0] == 0xC0:
                writer.write(packet(0xD0, b""))
            data = data[size:]


async def closing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Hangs up at once."""


def says(*parts: bytes, then: Answer = silent) -> Answer:
    """Says one part after each thing it hears, the first after the first; then goes on as told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            if not await reader.read(65536):
                return
            writer.write(part)
            await writer.drain()
        await then(reader, writer)

    return answer


def greets(data: bytes, then: Answer = silent) -> Answer:
    """Says it before it hears anything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await then(reader, writer)

    return answer


def server_tls(certificates: Certificates, *, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """For a peer behind TLS; with `newest`, one that has not been updated for long."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):  # that it is old is the point
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
    return context


@contextlib.contextmanager
def web_server(status: int = 404, *, tls: ssl.SSLContext | None = None, headers: str = "") -> Iterator[int]:
    """A real web server that answers every GET with this status; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for line in filter(None, headers.split("\n")):
                self.send_header(*line.split(": ", 1))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
