"""From a link's connection into the MESSAGES log: stored first, acknowledged then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

from opentelemetry.trace import SpanKind

from contracts import messages, subjects
from contracts.envelope import ID, TIME, TRACEPARENT
from contracts.failures import Unavailable
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.topics import device_of
from runtime import observe
from runtime.log_writer import MESSAGE_ID, LogWriter, Stored
from services.ingest import metrics
from services.ingest.frames import Incoming
from services.ingest.session import Session
from services.ingest.window import Taken, Window

SINCE = "hmq-since"  # from this sequence on the log holds what this link took last: see `recall`
_CACHED_MAX = 8_192

Dropped = Callable[[str, int], None]
"""(reason, how many): what was not stored, to be said to the tenant."""


class Place(NamedTuple):
    """What all messages of a topic have in common."""

    subject: str
    headers: dict[str, str]


@lru_cache(maxsize=_CACHED_MAX)
def place(organization: str, integration: str, topic: str) -> Place:
    common = messages.headers(
        id="", topic=topic, qos=0, retain=False, received=datetime.min.replace(tzinfo=UTC), source=integration
    )
    return Place(subjects.message(organization, integration, device_of(topic)), common)


class Bridge:
    """Lives as long as its link, through all of its connections.

    QoS 1 and 2: acknowledged once stored, over the connection that they came by and no other. QoS 0 has no
    acknowledgement: what does not fit is dropped and reported.
    """

    def __init__(
        self,
        organization: str,
        integration: str,
        writer: LogWriter,
        window: Window,
        *,
        inflight_max: int,
        on_drop: Dropped,
    ) -> None:
        self._organization, self._integration = organization, integration
        self._writer = writer
        self._window = window
        self._inflight_max = inflight_max
        self._on_drop = on_drop
        self._ids, self._number = os.urandom(8).hex(), 0
        self._inflight: set[asyncio.Future[Stored]] = set()
        self._waiting: dict[
            int, tuple[Session, int]
        ] = {}  # Taken.number → whom to acknowledge to, with which QoS
        self._session: Session | None = None
        self._stored: list[tuple[int, int]] = []  # (mid, QoS) to be acknowledged to the session at once

    def take(self, session: Session, chunk: list[Incoming]) -> None:
        """What one read of the socket brought."""
        if session is not self._session:
            self._session, self._stored = session, []
        links = [message.traceparent for message in chunk if message.traceparent]
        # One span for all: a message without a trace of its own begins here.
        with observe.span("mqtt receive", links=links, kind=SpanKind.CONSUMER, messages=len(chunk)):
            begun = observe.traceparent()
            received = datetime.now(UTC).isoformat()
            for message in chunk:
                if session.ended.done():
                    return  # the rest comes again, in its order
                self._take(session, message, received, begun)
        metrics.messages_in.add(len(chunk), {"source": "link"})
        metrics.bytes_in.add(sum(len(message.payload or b"") for message in chunk), {"source": "link"})
        if len(self._inflight) >= self._inflight_max:
            session.pause()

    def _take(self, session: Session, message: Incoming, received: str, begun: str | None) -> None:
        topic, payload, qos, retain, dup, mid, traceparent = message
        if payload is None or len(payload) > PAYLOAD_BYTES_MAX:
            self._on_drop("payload.too_large", 1)
            self._acknowledge(session, mid, qos)
            return
        if qos and dup and (copy := self._window.copy_of(mid, topic, payload)) is not None:
            metrics.duplicates.add(1)
            if copy.sequence:
                self._acknowledge(session, mid, qos)
            else:
                self._waiting[copy.number] = (session, qos)
            return
        subject, common = place(self._organization, self._integration, topic)
        self._number += 1
        id = f"{self._ids}-{self._number}"
        headers = {
            **common,
            ID: id,
            MESSAGE_ID: id,
            TIME: received,
            messages.QOS: str(qos),
            SINCE: str(self._window.since),
        }
        if trace := traceparent or begun:
            headers[TRACEPARENT] = trace
        if retain:
            headers[messages.RETAIN] = "1"
        if qos:
            headers[messages.MID] = str(mid)
            if dup:
                headers[messages.DUP] = "1"
        try:
            written = self._writer.write(subject, headers, payload)
        except Unavailable:
            if qos == 0:
                self._on_drop("log.unavailable", 1)
            # QoS 1 and 2: not acknowledged, so the broker still has it and sends it over the next connection
            else:
                session.end("the event log does not take more")
            return
        self._inflight.add(written)
        if qos:
            taken = self._window.take(mid, topic, payload)
            self._waiting[taken.number] = (session, qos)
            written.add_done_callback(partial(self._on_written, taken))
        else:
            written.add_done_callback(self._on_written_qos0)

    def _on_written(self, taken: Taken, written: asyncio.Future[Stored]) -> None:
        self._release(written)
        session, qos = self._waiting.pop(taken.number)
        if written.cancelled() or written.exception() is not None:
            self._window.refuse(taken)
            session.end("the event log refused a message" if not written.cancelled() else "stopped")
            return
        self._window.store(taken, written.result().sequence)
        self._acknowledge(session, taken.mid, qos)

    def _on_written_qos0(self, written: asyncio.Future[Stored]) -> None:
        self._release(written)
        if written.cancelled() or written.exception() is not None:
            self._on_drop("log.unavailable", 1)

    def _release(self, written: asyncio.Future[Stored]) -> None:
        self._inflight.discard(written)
        if self._session is not None and len(self._inflight) <= self._inflight_max // 2:
            self._session.resume()

    def _acknowledge(self, session: Session, mid: int, qos: int) -> None:
        if qos == 0 or session is not self._session:
            return
        if not self._stored:
            asyncio.get_running_loop().call_soon(self._send_acknowledgements, session)
        self._stored.append((mid, qos))

    def _send_acknowledgements(self, session: Session) -> None:
        if session is self._session:
            stored, self._stored = self._stored, []
            session.acknowledge(stored)

    async def settle(self) -> None:
        """Returns when nothing that was taken is still on its way into the log."""
        if self._inflight:
            await asyncio.wait(self._inflight)

    def abandon(self) -> None:
        """Gives up what still waits for the log: another owner may get it from the broker."""
        for written in list(self._inflight):
            written.cancel()
