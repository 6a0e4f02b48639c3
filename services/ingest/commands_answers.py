"""Answers of devices, read from the log of messages: one that the log has in time is found, whoever was down.

Answers on the hosted broker's own topics come by one filter. Elsewhere a reader is there for as long as an
answer is awaited, and reads all messages of that device, or of that external link (10 µs of CPU for each).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client

from contracts import messages, subjects
from contracts.device_commands import RESPONSES
from contracts.failures import Failure, Unavailable
from contracts.messages import StoredMessage
from contracts.streams import COMMANDS, MESSAGES
from contracts.topics import to_subject
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.pull import Entry, Pull
from services.ingest.commands_log import first_since

_log = log(part="answers")
READERS_MAX, READERS_OF_ORGANIZATION_MAX = 100, 10
READER_BYTES_MAX = 1024 * 1024  # in memory; a single larger message passes all the same
MARGIN = timedelta(seconds=1)  # between the clocks of servers
SILENCE_S = 1.0
RETRY_S = 1.0

OnMessage = Callable[[StoredMessage, int, str | None], None]
"""With its sequence, and its Correlation Data."""


def filter_of(organization: str, source: str, topic: str) -> str:
    """The subjects among which an answer on this topic is found."""
    if source != subjects.HOSTED:
        return subjects.messages_of_source(organization, source)
    _, _, device, channel, *rest = topic.split("/")
    if channel == RESPONSES and rest:
        return subjects.hosted_answers()
    return subjects.hosted_message(organization, to_subject(device), to_subject("/".join([channel, *rest])))


class Reader:
    """`run()` is its task. Up to `read_until` nothing in the log has been overlooked."""

    def __init__(
        self,
        client: Client,
        filter: str,
        since: datetime,
        on_message: OnMessage,
        caught_up: Callable[[int], Awaitable[None]],
    ) -> None:
        """`caught_up(sequence)` returns when all of COMMANDS up to there is known."""
        self._client, self._filter, self._since = client, filter, since
        self._on_message, self._caught_up = on_message, caught_up
        self.read_until = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        while True:
            try:
                await self._read()
            except (Unavailable, ApiError) as error:
                _log.warning("answers cannot be read", filter=self._filter, error=str(error))
            except Exception:  # noqa: BLE001 — a defect: without a reader nothing that waits would ever end
                _log.exception("answers cannot be read", filter=self._filter)
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        client, name = self._client, MESSAGES.name
        start = await first_since(client, name, self._since - MARGIN)
        if start is None:
            start = (await jetstream.stream_state(client, name)).last + 1
        pull = Pull(
            client,
            name,
            start=start,
            filters=(self._filter,),
            messages_max=500,
            bytes_max=READER_BYTES_MAX,
            name="answers",
        )
        try:
            while True:
                now = datetime.now(UTC)
                batch = await pull.next_batch(500, timeout_s=SILENCE_S)
                if batch:
                    # A command that is older than an answer is known before the answer is looked at.
                    await self._caught_up((await jetstream.stream_state(client, COMMANDS.name)).last)
                    for entry in batch:
                        self._take(entry)
                if not batch or batch[-1].pending == 0:
                    self.read_until = now
        finally:
            await pull.close()

    def _take(self, entry: Entry) -> None:
        stored_at = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
        try:
            message = messages.stored(entry.subject, entry.headers, entry.data, stored_at)
        except (KeyError, ValueError, Failure):
            return  # the projection has a word for it
        said = entry.headers.get(messages.CORRELATION)
        self._on_message(message._replace(received=stored_at), entry.sequence, said)


class Readers:
    """The readers that are needed now."""

    def __init__(
        self, client: Client, on_message: OnMessage, caught_up: Callable[[int], Awaitable[None]]
    ) -> None:
        self._client, self._on_message, self._caught_up = client, on_message, caught_up
        self._running: dict[str, tuple[Reader, asyncio.Task[None]]] = {}
        self._needed: defaultdict[str, set[object]] = defaultdict(set)

    def start(self, filter: str, since: datetime) -> None:
        if filter not in self._running:
            reader = Reader(self._client, filter, since, self._on_message, self._caught_up)
            self._running[filter] = (reader, asyncio.create_task(reader.run(), name=f"answers {filter}"))

    def need(self, organization: str, filter: str, who: object, since: datetime) -> bool:
        """False where there are too many readers already."""
        if filter not in self._running:
            of_organization = sum(f".{organization}." in each for each in self._running)
            if len(self._running) >= READERS_MAX or of_organization >= READERS_OF_ORGANIZATION_MAX:
                return False
            self.start(filter, since)
        self._needed[filter].add(who)
        return True

    def release(self, filter: str, who: object) -> None:
        """The last one that needs a reader ends it; the hosted broker's own stays."""
        if filter not in self._needed:
            return
        self._needed[filter].discard(who)
        if not self._needed[filter]:
            del self._needed[filter]
            if filter != subjects.hosted_answers() and filter in self._running:
                self._running.pop(filter)[1].cancel()

    def read_until(self, filter: str) -> datetime | None:
        held = self._running.get(filter)
        return held[0].read_until if held else None

    async def close(self) -> None:
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        self._needed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
