"""`asyncio.wait_for` as Python 3.12 has it, for 3.11, whose own can swallow a cancellation (python/cpython#86296).

It does so when the cancellation comes in the moment in which the awaited future completes. nats-py makes each
request with it: a task in a loop of requests would now and then outlive its `cancel()`, and with it the process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def wait_for(future: Awaitable[ResultT], timeout: float | None) -> ResultT:
    """The future's result; TimeoutError, with the future cancelled, after `timeout` seconds."""
    if timeout is not None and timeout <= 0:
        held = asyncio.ensure_future(future)
        if held.done():
            return held.result()
        held.cancel()
        await asyncio.wait((held,))
        try:
            return held.result()
        except asyncio.CancelledError:
            raise TimeoutError from None
    async with asyncio.timeout(timeout):
        return await future


if sys.version_info < (3, 12):
    asyncio.wait_for = wait_for  # type: ignore[assignment]
