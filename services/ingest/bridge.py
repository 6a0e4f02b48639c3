"""From a link's connection into the MESSAGES log: stored first, acknowledged then."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

from contracts import messages, subjects
from contracts.envelope import ID, TIME, TRACEPARENT
from contracts.failures import Unavailable
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.topics import TOPIC_BYTES_MAX, device_of
from runtime import observe
from runtime.fast_publish import header_lines
from runtime.log_writer import MESSAGE_ID, LogWriter, Stored, Write
from services.ingest import metrics
from services.ingest.claim import Claim
from services.ingest.commands_correlation import correlation
from services.ingest.drops import Drops
from services.ingest.flow import Flow
from services.ingest.frames import Incoming
from services.ingest.session import Session
from services.ingest.window import Taken, Window

SINCE = "hmq-since"  # from this sequence on the log holds what this link took last: see `recall`
INFLIGHT_BYTES_MAX = 4 * 1024 * 1024  # of one link: the writer that all share holds sixteen times as much
_CACHED_MAX = 8_192
_FORBIDDEN = re.compile("[+#\0]")

AfterStored = Callable[[Session, Incoming], None]
"""Called once a message is in the log, with the session that it came by; quick, and it must not raise."""


class Place(NamedTuple):
    """What all messages of a topic have in common."""

    subject: str
    lines: str  # of headers


@lru_cache(maxsize=_CACHED_MAX)
def place(organization: str, integration: str, topic: str) -> Place | None:
    """None for what is no topic to publish to (3.1.1 §4.7, and our own limit)."""
    if _FORBIDDEN.search(topic) or len(topic.encode()) > TOPIC_BYTES_MAX:
        return None
    now = datetime.now(UTC)
    common = messages.headers(id="", topic=topic, qos=0, retain=False, received=now, source=integration)
    for varies in (ID, TIME, messages.QOS):
        del common[varies]
    return Place(subjects.message(organization, integration, device_of(topic)), header_lines(common))


class Bridge:
    """Lives as long as its link, through all of its connections.

    QoS 1 and 2: acknowledged once stored, over the connection that they came by and no other. QoS 0 has no
    acknowledgement: what does not fit is dropped and reported.
    """

    qos_header = messages.QOS

    def __init__(
        self,
        organization: str,
        integration: str,
        writer: LogWriter,
        window: Window,
        claim: Claim,
        flow: Flow,
        *,
        inflight_max: int,
        drops: Drops,
    ) -> None:
        self._organization, self._integration = organization, integration
        self._writer = writer
        self._window = window
        self._claim, self._flow = claim, flow
        self.after_stored: AfterStored | None = None
        self._inflight_max = inflight_max
        self._drops = drops
        self._ids, self._number = os.urandom(8).hex(), 0
        self._under_way: dict[int, Write] = {}  # by our number
        self._bytes = 0  # of their payloads
        # By Taken.number: whom to acknowledge to, and with which QoS.
        self._waiting: dict[int, tuple[Session, int]] = {}
        self._settled = asyncio.Event()
        self._session: Session | None = None
        self._stored: list[tuple[int, int]] = []  # (mid, QoS) to be acknowledged to the session at once

    def take(self, session: Session, chunk: list[Incoming]) -> None:
        """What one read of the socket brought."""
        if session is not self._session:
            self._session, self._stored = session, []
        links = [message.traceparent for message in chunk if message.traceparent]
        # One span for all: a message without a trace of its own begins here.
        with observe.beginning("mqtt receive", links=links, messages=len(chunk)) as begun:
            received = datetime.now(UTC).isoformat()
            for message in chunk:
                if session.ended.done():
                    return  # the rest comes again, in its order
                self._take(session, message, received, begun)
        size = sum([len(message.payload or b"") for message in chunk])
        metrics.links.messages += len(chunk)
        metrics.links.bytes += size
        self._flow.took(chunk, size)
        if self.held_back:
            session.pause()
        elif self._writer.crowded:  # by all links together
            session.pause()
            self._writer.when_room(session.resume)

    def _take(self, session: Session, message: Incoming, received: str, begun: str) -> None:
        topic, payload, qos, retain, dup, mid, traceparent, properties = message
        if payload is None or len(payload) > PAYLOAD_BYTES_MAX:
            self._drop("payload.too_large", topic)
            self._acknowledge(session, mid, qos)
            return
        if qos and dup and (copy := self._window.copy_of(mid, topic, payload)) is not None:
            metrics.duplicates.add(1)
            self._flow.tally.duplicates += 1
            if copy.sequence:
                self._acknowledge(session, mid, qos)
                if self.after_stored is not None:
                    self.after_stored(session, message)
            else:
                self._waiting[copy.number] = (session, qos)
            return
        found = self._place(topic)
        if found is None:
            self._drop("topic.invalid", topic)
            self._acknowledge(session, mid, qos)
            return
        subject, common = found
        self._number += 1
        id = f"{self._ids}-{self._number}"
        lines = (
            f"{common}{ID}: {id}\r\n{MESSAGE_ID}: {id}\r\n{TIME}: {received}\r\n{self.qos_header}: {qos}\r\n"
            f"{SINCE}: {self._window.since}\r\n{TRACEPARENT}: {traceparent or begun}\r\n"
        )
        if retain:
            lines += f"{messages.RETAIN}: 1\r\n"
        if properties and (said := correlation(properties)) is not None:
            lines += f"{messages.CORRELATION}: {said}\r\n"
        taken = None
        if qos:
            lines += f"{messages.MID}: {mid}\r\n"
            if dup:
                lines += f"{messages.DUP}: 1\r\n"
            taken = self._window.take(mid, topic, payload)
            self._waiting[taken.number] = (session, qos)
        on_stored = partial(self._on_stored, self._number, taken, session, message)
        try:
            self._under_way[self._number] = self._writer.submit(
                subject, lines, payload, on_stored, condition=self._claim.condition
            )
        except Unavailable:
            self._refused(taken, topic)
        else:
            self._bytes += len(payload)

    def _place(self, topic: str) -> Place | None:
        """None for a topic that no log takes."""
        if len(topic) > TOPIC_BYTES_MAX:
            return None  # nor is it remembered
        return place(self._organization, self._integration, topic)

    def _on_stored(
        self, number: int, taken: Taken | None, came: Session, message: Incoming, stored: Stored | None
    ) -> None:
        self._under_way.pop(number, None)
        self._bytes -= len(message.payload or b"")
        if (
            self._session is not None
            and len(self._under_way) <= self._inflight_max // 2
            and self._bytes <= INFLIGHT_BYTES_MAX // 2
        ):
            if self._writer.crowded:
                self._writer.when_room(self._session.resume)
            else:
                self._session.resume()
        if not self._under_way:
            self._settled.set()
        if stored is None:
            self._refused(taken, message.topic)
            return
        if taken is not None:
            session, qos = self._waiting.pop(taken.number)
            self._window.store(taken, stored.sequence)
            self._acknowledge(session, taken.mid, qos)
        if self.after_stored is not None:
            self.after_stored(came, message)

    def _refused(self, taken: Taken | None, topic: str) -> None:
        if taken is None:
            self._drop("log.unavailable", topic)
            return
        # Not acknowledged: the broker still has it, and sends it over the next connection.
        session, _ = self._waiting.pop(taken.number)
        self._window.refuse(taken)
        session.end("the event log does not take more")

    def _drop(self, reason: str, topic: str) -> None:  # noqa: ARG002 — whose it is, where a link has many
        self._flow.tally.dropped += 1
        self._drops.add(self._organization, self._integration, kind="link.dropped", reason=reason)

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

    @property
    def under_way(self) -> int:
        """Messages that wait for the log."""
        return len(self._under_way)

    @property
    def held_back(self) -> bool:
        return len(self._under_way) >= self._inflight_max or self._bytes >= INFLIGHT_BYTES_MAX

    def abandon(self) -> None:
        """Takes back what has not left for the log."""
        self._under_way = {number: write for number, write in self._under_way.items() if not write.cancel()}

    async def settle(self) -> None:
        """Returns when the outcome of all that has left is known: only then the log tells what was taken."""
        while self._under_way:
            self._settled.clear()
            await self._settled.wait()
