"""Answers of the hot path, written together: in a storm many questions come with one read of the socket."""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import Client

from runtime import fast_publish
from runtime.observe import log

_log = log(part="answers")


class Answers:
    """`send` returns at once; what is sent within one turn of the loop leaves in one write."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[tuple[bytes, bytes]] = []
        self._sending: asyncio.Task[None] | None = None

    def send(self, reply: bytes, answer: bytes) -> None:
        """Lost where the connection is gone: whoever asked comes again."""
        self._waiting.append((reply, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="answers")

    async def _send(self) -> None:
        while self._waiting:
            (*others, (reply, answer)), self._waiting = self._waiting, []
            try:
                if others:
                    frames = [b"PUB %s %d\r\n%s\r\n" % (to, len(said), said) for to, said in others]
                    await fast_publish.send(self._client, frames)
                await self._client.publish(reply.decode(), answer)  # which also flushes
            except (nats.errors.Error, OSError) as error:
                _log.warning("answers are lost", count=len(others) + 1, error=repr(error))
        self._sending = None
