"""Bounded waiting for a real condition."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

Answer = TypeVar("Answer")


@overload
async def eventually(
    condition: Callable[[], Awaitable[Answer]], *, timeout_s: float = 30, every_s: float = 0.02
) -> Answer: ...


@overload
async def eventually(
    condition: Callable[[], Answer], *, timeout_s: float = 30, every_s: float = 0.02
) -> Answer: ...


async def eventually(condition: Callable[[], Any], *, timeout_s: float = 30, every_s: float = 0.02) -> Any:
    """The first true answer of `condition` (plain or async); fails with its last answer after `timeout_s`.

    An AssertionError inside counts as "not yet"; any other exception ends the waiting.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        last: object
        try:
            answer = condition()
            last = await answer if inspect.isawaitable(answer) else answer
            if last:
                return last
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s; last answer: {last!r}")
        await asyncio.sleep(every_s)


def eventually_now(
    condition: Callable[[], Answer], *, timeout_s: float = 30, every_s: float = 0.02
) -> Answer:
    """The same where no event loop runs."""
    deadline = time.monotonic() + timeout_s
    while True:
        last: object
        try:
            if answer := condition():
                return answer
            last = answer
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s; last answer: {last!r}")
        time.sleep(every_s)
