"""Group commit into a stream: many writers, one atomic batch at a time, acknowledged together.

Order is kept: what was written first is stored first. Memory is bounded: a full queue refuses, so that
whoever writes stops reading (an MQTT session that is not acknowledged waits at its broker).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from uuid_utils import uuid7

from contracts.failures import Unavailable
from runtime import fast_parser, fast_publish, jetstream
from runtime.event_log import BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE
from runtime.jetstream import DUPLICATE_IN_BATCH, ApiError
from runtime.observe import log

_log = log(part="log writer")
MESSAGE_ID = "Nats-Msg-Id"
BATCH_MESSAGES_MAX = 500  # the server takes 1,000
BATCH_BYTES_MAX = 4 * 1024 * 1024
RETRY_S = 0.25
# The stream forgets ids after its duplicate window of 120 s: what is in doubt for longer is looked for first.
READ_BACK_AFTER_S = 90.0
READ_BACK_MESSAGES = 1000
CLOCKS_APART_S = 60.0  # ours and the server's


class Stored(NamedTuple):
    """Where the message stands; `duplicate`: its id was already there."""

    sequence: int
    duplicate: bool


OnStored = Callable[[Stored | None], None]
"""Called with where the message stands, or None when the stream refused it; quick, and it must not raise."""


class Write:
    """A message on its way."""

    __slots__ = ("cancelled", "condition", "data", "in_doubt_since", "left", "lines", "on_stored", "subject")

    def __init__(
        self, subject: str, lines: str, data: bytes, on_stored: OnStored | None, condition: str
    ) -> None:
        self.subject, self.lines, self.data, self.on_stored = subject, lines, data, on_stored
        self.condition = condition
        self.cancelled = self.left = False
        self.in_doubt_since: float | None = None  # sent, and not answered; by the loop's clock

    def cancel(self) -> bool:
        """Takes it back; False where it has left already, and its outcome will be told."""
        self.cancelled = not self.left
        return self.cancelled


class LogWriter:
    """`run()` is its task. Every message needs a `Nats-Msg-Id`: a retried batch is never stored twice."""

    def __init__(
        self,
        client: Client,
        *,
        queue_messages_max: int = 20_000,
        queue_bytes_max: int = 64 * 1024 * 1024,
        ack_timeout_s: float = 5.0,
        linger_s: float = 0.0,
        stream: str | None = None,
        read_back_after_s: float = READ_BACK_AFTER_S,
    ) -> None:
        """`linger_s`: how long the first message of a batch waits for others; each batch has a cost of its own.

        `stream`: what this client may read, to look there for messages in doubt after a long outage; None: such
        a message may be stored twice.
        """
        self._client = client
        self._queue: deque[Write] = deque()
        self._bytes = 0
        self._messages_max, self._bytes_max = queue_messages_max, queue_bytes_max
        self._ack_timeout_s, self._linger_s = ack_timeout_s, linger_s
        self._wake = asyncio.Event()
        self._for_room: set[Callable[[], None]] = set()
        self._stream, self._read_back_after_s = stream, read_back_after_s
        self._last = 0  # the sequence that we heard last
        self._found: dict[str, dict[str, int]] = {}  # by subject: what was read back, sequence by id

    def write(self, subject: str, headers: dict[str, str], data: bytes) -> asyncio.Future[Stored]:
        """Resolves when the stream has stored the message.

        Raises Unavailable("log.unavailable") at once when the queue is full.
        """
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

        def resolve(stored: Stored | None) -> None:
            if done.done():
                return
            if stored is not None:
                done.set_result(stored)
            else:
                done.set_exception(Unavailable("log.unavailable", "the event log refused the message"))

        write = self.submit(subject, fast_publish.header_lines(headers), data, resolve)
        done.add_done_callback(lambda _: done.cancelled() and write.cancel())
        return done

    def post(self, subject: str, headers: dict[str, str], data: bytes) -> None:
        """The same for whoever does not wait for the outcome; a message that the stream refuses is logged."""
        self.submit(subject, fast_publish.header_lines(headers), data, None)

    def submit(
        self, subject: str, lines: str, data: bytes, on_stored: OnStored | None, *, condition: str = ""
    ) -> Write:
        """The same at the least cost: headers as lines (see `fast_publish`), the outcome by a plain call.

        `condition`: header lines that the server is to check. A batch is stored as a whole or not at all, so
        those that share one send it once.
        """
        if len(self._queue) >= self._messages_max or self._bytes + len(data) > self._bytes_max:
            raise Unavailable("log.unavailable", "too many messages wait for the event log; try again")
        write = Write(subject, lines, data, on_stored, condition)
        self._queue.append(write)
        self._bytes += len(data)
        self._wake.set()
        return write

    @property
    def crowded(self) -> bool:
        """It is time to stop reading: what many read at once must still find room."""
        return len(self._queue) > self._messages_max // 2 or self._bytes > self._bytes_max // 2

    def when_room(self, resume: Callable[[], None]) -> None:
        """Calls this once, when a quarter of the queue is left: for whoever has nothing under way to wait for."""
        self._for_room.add(resume)

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
            if self._linger_s and len(self._queue) < BATCH_MESSAGES_MAX:
                await asyncio.sleep(self._linger_s)
            batch = self._take()
            await self._commit_until_stored(batch)

    def _take(self) -> list[Write]:
        batch: list[Write] = []
        size = 0
        while self._queue and len(batch) < BATCH_MESSAGES_MAX and size < BATCH_BYTES_MAX:
            write = self._queue.popleft()
            self._bytes -= len(write.data)
            if write.cancelled:
                continue
            write.left = True
            batch.append(write)
            size += len(write.data)
        if (
            self._for_room
            and len(self._queue) <= self._messages_max // 4
            and self._bytes <= self._bytes_max // 4
        ):
            waiting, self._for_room = self._for_room, set()
            for resume in waiting:
                resume()
        return batch

    async def _commit_until_stored(self, batch: list[Write]) -> None:
        if len(batch) > 1:
            try:
                await self._commit_batch(batch)
            except ApiError as error:
                if error.code != DUPLICATE_IN_BATCH:
                    _log.warning("batch refused", error=str(error), messages=len(batch))
            except Unavailable as error:
                _log.warning("log does not answer", error=error.detail, messages=len(batch))
                for write in batch:
                    self._doubt(write)
                await asyncio.sleep(RETRY_S)
            else:
                return
        # After a doubtful try: one by one, each told apart by its id.
        for write in batch:
            await self._store(write)
        self._found.clear()

    async def _store(self, write: Write) -> None:
        while True:
            try:
                if (sequence := await self._read_back(write)) is not None:
                    self._tell(write, Stored(sequence, True))
                    return
                answer = await self._request(write, write.lines + write.condition)
            except ApiError as error:
                _log.error("message refused", error=str(error), subject=write.subject)
                self._tell(write, None)
                return
            except Unavailable as error:
                _log.warning("log does not answer", error=error.detail, messages=1)
                self._doubt(write)
                await asyncio.sleep(RETRY_S)
            else:
                self._tell(write, Stored(int(answer["seq"]), bool(answer.get("duplicate"))))
                return

    async def _commit_batch(self, batch: list[Write]) -> None:
        batch_id = f"{BATCH_ID}: {uuid7().hex}\r\n{BATCH_SEQUENCE}: "
        conditions = set[str]()

        def lines(write: Write, number: int) -> str:
            made = f"{write.lines}{batch_id}{number}\r\n"
            if write.condition in conditions:
                return made
            conditions.add(write.condition)
            return made + write.condition

        try:
            await fast_publish.send(
                self._client,
                [
                    fast_publish.frame(write.subject, lines(write, number), write.data)
                    for number, write in enumerate(batch[:-1], 1)
                ],
            )
        except (nats.errors.Error, OSError) as error:
            raise Unavailable("log.unavailable", repr(error)) from error
        last = batch[-1]
        answer = await self._request(last, f"{lines(last, len(batch))}{BATCH_COMMIT}: 1\r\n")
        first = int(answer["seq"]) - len(batch) + 1
        for offset, write in enumerate(batch):
            self._tell(write, Stored(first + offset, False))

    async def _request(self, write: Write, lines: str) -> dict[str, Any]:
        headers = fast_parser.headers(f"NATS/1.0\r\n{lines}".encode())
        return await jetstream.request(
            self._client, write.subject, write.data, headers=headers, timeout_s=self._ack_timeout_s
        )

    def _doubt(self, write: Write) -> None:
        if write.in_doubt_since is None:
            write.in_doubt_since = asyncio.get_running_loop().time()
        self._found.clear()

    async def _read_back(self, write: Write) -> int | None:
        """Where a message stands that has been in doubt for long, None where it need not be looked for or does
        not stand. One that arrives after this look is told by its id: the window begins when it arrives.

        Raises Unavailable.
        """
        since, now = write.in_doubt_since, asyncio.get_running_loop().time()
        if self._stream is None or since is None or now - since < self._read_back_after_s:
            return None
        if write.subject not in self._found:
            self._found[write.subject] = await self._ids(write.subject, now - since)
        write.in_doubt_since = None
        return self._found[write.subject].get(_id(write.lines))

    async def _ids(self, subject: str, age_s: float) -> dict[str, int]:
        """Of all messages of a subject since what we heard last, or since that age where we never heard."""
        assert self._stream is not None
        found: dict[str, int] = {}
        query: dict[str, Any] = {"next_by_subj": subject, "batch": READ_BACK_MESSAGES}
        if self._last:
            query["seq"] = self._last + 1
        else:
            query["start_time"] = (datetime.now(UTC) - timedelta(seconds=age_s + CLOCKS_APART_S)).isoformat()
        while messages := await jetstream.direct_batch(self._client, self._stream, query):
            for message in messages:
                headers = message.headers or {}
                found[headers.get(MESSAGE_ID, "")] = int(headers["Nats-Sequence"])
            query.pop("start_time", None)
            query["seq"] = max(found.values()) + 1
        return found

    def _tell(self, write: Write, stored: Stored | None) -> None:
        if stored is not None and stored.sequence > self._last:
            self._last = stored.sequence
        if write.on_stored is not None:
            write.on_stored(stored)


def _id(lines: str) -> str:
    _, _, rest = lines.partition(f"{MESSAGE_ID}: ")
    return rest.partition("\r")[0]
