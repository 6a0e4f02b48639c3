"""Publishes that are on their way to a broker: packet ids, the window, and who waits for which answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from contracts.failures import Failure, Unavailable
from services.ingest import packets
from services.ingest.packets import Ack

WINDOW_MAX = 1_000  # of what a broker may allow (MQTT 5); mosquitto allows 20
WINDOW_311 = 100  # 3.1.1 does not tell; AWS IoT Core takes 100
WAITING_MAX = 10_000


class Outgoing:
    """QoS 1 and 2 of one connection, sent in the order in which they were given."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.window = WINDOW_311
        self._send = send
        self._queue: deque[tuple[int, bytes]] = deque()
        self._answers: dict[int, asyncio.Future[Ack]] = {}  # by packet id, until the broker has let go of it
        self._remarks: dict[int, Ack] = {}  # of PUBRECs, until their PUBCOMP
        self._sent = 0
        self._mid = 0

    def next_mid(self) -> int:
        """A packet id that is free; SUBSCRIBE takes its own from here, too."""
        while True:
            self._mid = self._mid % 65_535 + 1
            if self._mid not in self._answers:
                return self._mid

    def put(self, mid: int, packet: bytes) -> asyncio.Future[Ack]:
        """Sent as soon as the window allows. Raises Unavailable("link.down") where too many wait."""
        if len(self._queue) >= WAITING_MAX:
            raise Unavailable("link.down", "too many publishes wait for the broker's acknowledgements")
        answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._answers[mid] = answer
        self._queue.append((mid, packet))
        self._pump()
        return answer

    def _pump(self) -> None:
        while self._queue and self._sent < self.window:
            mid, packet = self._queue.popleft()
            if self._answers[mid].done():  # given up before it went out
                del self._answers[mid]
                continue
            self._sent += 1
            self._send(packet)

    def acknowledged(self, ack: Ack) -> None:
        """A PUBACK, or a PUBCOMP; one for nothing that is under way is let pass."""
        answer = self._answers.pop(ack.mid, None)
        if answer is None:
            return
        remark = self._remarks.pop(ack.mid, ack)
        if not answer.done():
            answer.set_result(ack if ack.code else remark)
        self._sent -= 1
        self._pump()

    def received(self, ack: Ack) -> None:
        """A PUBREC: with a failure it ends the exchange (5 §4.3.3), else the broker waits for a PUBREL."""
        if packets.failed(ack.code):
            self.acknowledged(ack)
            return
        if ack.code and ack.mid in self._answers:
            self._remarks[ack.mid] = ack
        self._send(packets.release(ack.mid))

    def fail(self, failure: Failure) -> None:
        """The connection is over."""
        self._queue.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(failure)
                answer.exception()  # whoever waits raises it; where nobody does, that is no defect
        self._answers.clear()
