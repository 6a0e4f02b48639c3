"""A continuous pull from a stream: in order, without a gap, without a doubled message, bounded in memory.

One plain subscription and pull requests topped up at half (`fetch()` costs three times as much and stalls,
see FACTS). The consumer is ephemeral and acknowledges nothing: whoever reads keeps its own place, and on
any doubt (missed heartbeats, a gap, a lost consumer, a new connection) a new consumer starts behind the last
message handed out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from nats.aio.client import Client
from uuid_utils import uuid7

from contracts.failures import Unavailable
from runtime import fast_parser, jetstream
from runtime.fast_parser import HotSubscription
from runtime.jetstream import STREAM_NOT_FOUND, ApiError
from runtime.observe import log

_log = log(part="pull")
HEARTBEAT_S = 1.0
SILENCE_S = 2.5  # two heartbeats missed
INACTIVE_S = 30.0  # the server forgets a consumer that nobody pulls from
EXPIRES_S = 30.0


class Entry(NamedTuple):
    subject: str
    raw_headers: bytes  # as they came, `NATS/1.0…`; empty without any
    data: bytes
    sequence: int
    time_ns: int  # when the stream stored it
    pending: int  # messages behind it at the server

    @property
    def headers(self) -> dict[str, str]:
        """Parsed anew at each look: hot paths read the raw ones."""
        return fast_parser.headers(self.raw_headers) if self.raw_headers else {}


class Pull:
    """Reads `stream` from `start` (a sequence) on; `filters` are subjects (none: all).

    `check` is awaited behind every (re)start, before anything is handed out: what it raises, `next_batch`
    raises. There a reader makes sure that the stream is still the one that its sequence counts in.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        *,
        start: int,
        filters: Sequence[str] = (),
        messages_max: int = 4000,
        bytes_max: int = 16 * 1024 * 1024,
        name: str = "pull",
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._client, self._stream, self._filters, self._name = client, stream, filters, name
        self._next = start
        self._check_stream = check
        self._messages_max, self._bytes_max = messages_max, bytes_max
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._asked = 0  # messages that the server may still send
        self._consumer = ""
        self._consumer_sequence = 0
        self._last_sign = 0.0
        self._broken: str | None = "not started"
        self._arrived = asyncio.Event()
        self._subscription: HotSubscription | None = None
        self._requests: set[asyncio.Task[None]] = set()
        self._reconnects = 0

    async def next_batch(self, count: int, *, timeout_s: float | None = None) -> list[Entry]:
        """At least one entry and at most `count`, as soon as there is one; an empty list after `timeout_s`.

        Raises Unavailable("log.unavailable") when the stream cannot be read now (try again), and
        ApiError when it does not exist.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            if not self._queue:
                self._check()
                if self._broken is not None:
                    await self._restart()
            if self._queue:
                batch = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
                self._queued_bytes -= sum(len(entry.data) for entry in batch)
                self._next = batch[-1].sequence + 1
                await self._top_up()
                return batch
            wait = HEARTBEAT_S if deadline is None else min(HEARTBEAT_S, deadline - time.monotonic())
            if wait <= 0:
                return []
            self._arrived.clear()
            with suppress(TimeoutError):  # then the checks above say whether something is wrong
                async with asyncio.timeout(wait):
                    await self._arrived.wait()

    async def close(self) -> None:
        """Ends the subscription; the server drops the consumer by itself."""
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    def _check(self) -> None:
        if self._broken is None and time.monotonic() - self._last_sign > SILENCE_S:
            self._broken = "no heartbeat"
        if self._broken is None and self._client.stats["reconnects"] != self._reconnects:
            self._broken = "reconnected"

    async def _restart(self) -> None:
        if self._broken != "not started":
            _log.warning(
                "pull restarts", stream=self._stream, name=self._name, reason=self._broken, next=self._next
            )
        await self.close()
        self._queue.clear()
        self._queued_bytes, self._asked, self._consumer_sequence = 0, 0, 0
        self._reconnects = self._client.stats["reconnects"]
        self._consumer = f"{self._name}-{uuid7().hex[-12:]}"
        config = {
            "name": self._consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(1, self._next),
            "ack_policy": "none",
            "max_waiting": 8,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": int(INACTIVE_S * 1e9),
        }
        if len(self._filters) == 1:
            config["filter_subject"] = self._filters[0]
        elif self._filters:
            config["filter_subjects"] = list(self._filters)
        subject = f"$JS.API.CONSUMER.CREATE.{self._stream}.{self._consumer}"
        if len(self._filters) == 1:
            subject += f".{self._filters[0]}"
        try:
            await jetstream.request(self._client, subject, {"stream_name": self._stream, "config": config})
        except ApiError as error:
            if error.code == STREAM_NOT_FOUND:
                raise
            raise Unavailable("log.unavailable", f"consumer of {self._stream}: {error}") from error
        if self._check_stream is not None:
            await self._check_stream()  # now: a stream made anew after this loses the consumer
        self._inbox = self._client.new_inbox()
        self._subscription = await fast_parser.subscribe(self._client, self._inbox, self._on_message)
        self._broken = None
        self._last_sign = time.monotonic()
        await self._top_up()

    async def _top_up(self) -> None:
        held = len(self._queue) + self._asked
        if (
            self._broken is not None
            or held > self._messages_max // 2
            or self._queued_bytes > self._bytes_max // 2
        ):
            return
        count = self._messages_max - held
        self._asked += count
        body = {
            "batch": count,
            "max_bytes": self._bytes_max - self._queued_bytes,
            "expires": int(EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
            json.dumps(body).encode(),
            reply=self._inbox,
        )

    def _on_message(self, subject: bytes, reply: bytes, raw_headers: bytes, data: bytes) -> None:
        self._last_sign = time.monotonic()
        if not data and raw_headers[8:9] == b" ":  # NATS/1.0 408 Request Timeout
            self._on_status(fast_parser.headers(raw_headers))
            return
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>; the form with
        # domain and account has two tokens more in front and a random one at the end
        tokens = reply.split(b".")
        first = 5 if len(tokens) == 9 else 7
        sequence, consumer_sequence = int(tokens[first]), int(tokens[first + 1])
        self._asked -= 1
        if self._broken is not None:
            return
        if consumer_sequence != self._consumer_sequence + 1:
            self._broken = f"gap in delivery: {consumer_sequence} after {self._consumer_sequence}"
            self._arrived.set()
            return
        self._consumer_sequence = consumer_sequence
        self._queue.append(
            Entry(
                subject.decode(), raw_headers, data, sequence, int(tokens[first + 2]), int(tokens[first + 3])
            )
        )
        self._queued_bytes += len(data)
        self._arrived.set()

    def _on_status(self, headers: dict[str, str]) -> None:
        status = headers["Status"]
        if status == "100":  # heartbeat
            return
        self._asked -= int(headers.get("Nats-Pending-Messages", 0))
        # A 409 ends a request of `max_bytes` that is served: no trouble, as little as a time-out.
        served = headers.get("Description", "") in ("Batch Completed", "Message Size Exceeds MaxBytes")
        if served or status in ("404", "408"):  # the next request takes its place
            request = asyncio.create_task(self._top_up())
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
            return
        self._broken = f"{status} {headers.get('Description', '')}"
        self._arrived.set()
