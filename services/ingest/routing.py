"""Calls to links: the server's own table of subscriptions leads each to the replica that owns the link.

A replica subscribes to a link's subject for as long as it holds its lease. A caller whom nobody hears is told so
by the server at once. A former owner that was frozen still has its subscription when it wakes: it looks at its
lease's clock before it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.calls import AnswerT
from contracts.failures import Refused
from contracts.links import LinkCall, LinkRequestT
from runtime import rpc
from services.ingest.links import Key

CONCURRENT_MAX = 64  # calls to one link under way; more wait in the subscription, and then
WAITING_MAX, WAITING_BYTES_MAX = 1_000, 16 * 1024 * 1024  # are dropped: their callers' time is over anyway

Answer = Callable[[Key, Msg], Awaitable[bytes]]


class Routing:
    """`serve` at the start, `open` while a link is owned."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: dict[str, Answer] = {}  # by verb
        self._under_way: set[asyncio.Task[None]] = set()

    def serve(
        self,
        what: LinkCall[LinkRequestT, AnswerT],
        handler: Callable[[LinkRequestT], Awaitable[AnswerT]],
    ) -> None:
        """Answers this call for every link that this process owns; the request names it."""

        async def answer(key: Key, message: Msg) -> bytes:
            async def checked(request: LinkRequestT) -> AnswerT:
                if (request.organization, request.integration) != key:
                    raise Refused("not_found")
                return await handler(request)

            return await rpc.answer_to(what.at(*key), checked, message.headers or {}, message.data)

        self._answers[what.verb] = answer

    @asynccontextmanager
    async def open(self, key: Key, is_ours: Callable[[], bool]) -> AsyncIterator[None]:
        """Calls to this link come here; `is_ours` is asked before each is answered."""
        free = asyncio.Semaphore(CONCURRENT_MAX)

        async def take(message: Msg) -> None:
            await free.acquire()
            task = asyncio.create_task(self._answer(key, message, is_ours))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(lambda _: free.release())

        subscription: Any = await self._client.subscribe(
            subjects.link_calls(*key),
            cb=take,
            pending_msgs_limit=WAITING_MAX,
            pending_bytes_limit=WAITING_BYTES_MAX,
        )
        try:
            yield
        finally:
            with suppress(nats.errors.Error):  # a closed connection has no subscriptions
                await subscription.unsubscribe()

    async def _answer(self, key: Key, message: Msg, is_ours: Callable[[], bool]) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is None or not is_ours():
            return
        with suppress(nats.errors.Error):  # the caller's time runs out
            await message.respond(await answer(key, message))
