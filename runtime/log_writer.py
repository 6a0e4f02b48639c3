"""Group commit into a stream: many writers, one atomic batch at a time, acknowledged together.

Order is kept: what was written first is stored first. Memory is bounded: a full queue refuses, so that
whoever writes stops reading (an MQTT session that is not acknowledged waits at its broker).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from uuid_utils import uuid7

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.event_log import BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE
from runtime.jetstream import DUPLICATE_IN_BATCH, ApiError
from runtime.observe import log

_log = log(part="log writer")
MESSAGE_ID = "Nats-Msg-Id"
BATCH_MESSAGES_MAX = 500  # the server takes 1,000
BATCH_BYTES_MAX = 4 * 1024 * 1024
RETRY_S = 0.25


class Stored(NamedTuple):
    """Where the message stands; `duplicate`: its id was already there."""

    sequence: int
    duplicate: bool


class _Write(NamedTuple):
    subject: str
    headers: dict[str, str]
    data: bytes
    done: asyncio.Future[Stored] | None


class LogWriter:
    """`run()` is its task. Every message needs a `Nats-Msg-Id`: a retried batch is never stored twice."""

    def __init__(
        self,
        client: Client,
        *,
        queue_messages_max: int = 20_000,
        queue_bytes_max: int = 64 * 1024 * 1024,
        ack_timeout_s: float = 5.0,
    ) -> None:
        self._client = client
        self._queue: deque[_Write] = deque()
        self._bytes = 0
        self._messages_max, self._bytes_max = queue_messages_max, queue_bytes_max
        self._ack_timeout_s = ack_timeout_s
        self._wake = asyncio.Event()

    def write(self, subject: str, headers: dict[str, str], data: bytes) -> asyncio.Future[Stored]:
        """Resolves when the stream has stored the message.

        Raises Unavailable("log.unavailable") at once when the queue is full.
        """
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._enqueue(_Write(subject, headers, data, done))
        return done

    def post(self, subject: str, headers: dict[str, str], data: bytes) -> None:
        """The same for whoever does not wait for the outcome; a message that the stream refuses is logged."""
        self._enqueue(_Write(subject, headers, data, None))

    def _enqueue(self, write: _Write) -> None:
        if len(self._queue) >= self._messages_max or self._bytes + len(write.data) > self._bytes_max:
            raise Unavailable("log.unavailable", "too many messages wait for the event log; try again")
        self._queue.append(write)
        self._bytes += len(write.data)
        self._wake.set()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def run(self) -> None:
        """Writes until cancelled; a log that is away is waited for, nothing is given up."""
        task = asyncio.current_task()
        assert task is not None
        # Asked, not trusted: Python 3.11's wait_for, inside nats-py's request, can swallow a cancellation.
        while not task.cancelling():
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            batch = self._take()
            await self._commit_until_stored(batch)

    def _take(self) -> list[_Write]:
        batch: list[_Write] = []
        size = 0
        while self._queue and len(batch) < BATCH_MESSAGES_MAX and size < BATCH_BYTES_MAX:
            write = self._queue.popleft()
            self._bytes -= len(write.data)
            if write.done is not None and write.done.cancelled():
                continue
            batch.append(write)
            size += len(write.data)
        return batch

    async def _commit_until_stored(self, batch: list[_Write]) -> None:
        if len(batch) > 1:
            try:
                await self._commit_batch(batch)
            except ApiError as error:
                if error.code != DUPLICATE_IN_BATCH:
                    _log.warning("batch refused", error=str(error), messages=len(batch))
            except Unavailable as error:
                _log.warning("log does not answer", error=error.detail, messages=len(batch))
                await asyncio.sleep(RETRY_S)
            else:
                return
        # After a doubtful try: one by one, each told apart by its id.
        for write in batch:
            await self._store(write)

    async def _store(self, write: _Write) -> None:
        client, timeout_s = self._client, self._ack_timeout_s
        while True:
            try:
                answer = await jetstream.request(
                    client, write.subject, write.data, headers=write.headers, timeout_s=timeout_s
                )
            except ApiError as error:
                _log.error("message refused", error=str(error), subject=write.subject)
                if write.done is not None and not write.done.done():
                    write.done.set_exception(Unavailable("log.unavailable", str(error)))
                return
            except Unavailable as error:
                _log.warning("log does not answer", error=error.detail, messages=1)
                await asyncio.sleep(RETRY_S)
            else:
                _resolve(write, Stored(int(answer["seq"]), bool(answer.get("duplicate"))))
                return

    async def _commit_batch(self, batch: list[_Write]) -> None:
        batch_id = uuid7().hex
        try:
            for number, write in enumerate(batch[:-1], 1):
                headers = {**write.headers, BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)}
                await self._client.publish(write.subject, write.data, headers=headers)
        except (nats.errors.Error, OSError) as error:  # its buffer is full: the server is away for long
            raise Unavailable("log.unavailable", repr(error)) from error
        last = batch[-1]
        headers = {**last.headers, BATCH_ID: batch_id, BATCH_SEQUENCE: str(len(batch)), BATCH_COMMIT: "1"}
        answer = await jetstream.request(
            self._client, last.subject, last.data, headers=headers, timeout_s=self._ack_timeout_s
        )
        first = int(answer["seq"]) - len(batch) + 1
        for offset, write in enumerate(batch):
            _resolve(write, Stored(first + offset, False))


def _resolve(write: _Write, stored: Stored) -> None:
    if write.done is not None and not write.done.done():
        write.done.set_result(stored)
