"""An asynchronous server in a thread of its own, for tests that are not: Playwright's synchronous part is one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")
WITHIN_S = 30


@contextmanager
def in_background(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def leave() -> None:
        await server.__aexit__(None, None, None)

    try:
        yield asyncio.run_coroutine_threadsafe(_enter(server), loop).result(WITHIN_S)
        asyncio.run_coroutine_threadsafe(leave(), loop).result(WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WITHIN_S)
        loop.close()


async def _enter(server: AbstractAsyncContextManager[T]) -> T:
    return await server.__aenter__()
