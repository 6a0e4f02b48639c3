"""SUBSCRIBE and UNSUBSCRIBE, each with its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contracts.failures import Failure, Unavailable

ANSWER_S = 10.0


class Requests:
    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._answers: dict[int, asyncio.Future[bytes]] = {}  # by packet id

    def __contains__(self, mid: int) -> bool:
        return mid in self._answers

    async def ask(self, mid: int, packet: bytes, what: str) -> bytes:
        """The answer's body. Raises Unavailable("broker.timeout"), and what `fail` is told."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[mid] = answer
        try:
            self._send(packet)
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError as error:
            raise Unavailable("broker.timeout", f"no answer to {what}") from error
        finally:
            del self._answers[mid]

    def answered(self, body: bytes) -> None:
        answer = self._answers.get(int.from_bytes(body[:2], "big"))
        if answer is not None and not answer.done():
            answer.set_result(body)

    def fail(self, failure: Failure) -> None:
        """The connection is over."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(failure)
