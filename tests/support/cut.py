"""A network that can be cut between a client and a server, also one way: a proxy on loopback."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from deploy.local.ports import LOOPBACK

CHUNK = 65536


class Cut:
    """Passes everything on, until `up` (to the server) or `down` is cleared: then it keeps silent, and drops nothing.

    As with a cable that is pulled, connections stay open on both sides; `reset` breaks them.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.up.set()
        self.down.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()

    def cut(self, *, up: bool = True, down: bool = True) -> None:
        if up:
            self.up.clear()
        if down:
            self.down.clear()

    def heal(self) -> None:
        self.up.set()
        self.down.set()

    def reset(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(LOOPBACK, self._to)
            both = [
                asyncio.create_task(_pass(reader, back, self.up)),
                asyncio.create_task(_pass(there, writer, self.down)),
            ]
            self._tasks.update(both)
            with suppress(asyncio.CancelledError):
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
                self._tasks.discard(task)
            back.close()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await way.wait()
            writer.write(data)
            await writer.drain()
