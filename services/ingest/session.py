"""One connection to an MQTT broker, 3.1.1 or 5, over a channel.

Our own, because no library keeps these promises (decision 14 has the figures): nothing that comes is
acknowledged before `acknowledge` says so, for QoS 2 not by a PUBREC either; what one read of the socket brings
is handed on as a list; reading can be paused, so that a broker without a limit is held back by TCP; and
whatever a broker says of its reasons is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter, filters_a_subscribe
from contracts.failures import Failure, Refused, Unavailable
from runtime.observe import log
from services.ingest import frames, packets
from services.ingest.channel import Channel, TcpChannel
from services.ingest.frames import Incoming, Malformed
from services.ingest.keepalive import Keepalive
from services.ingest.outgoing import Outgoing
from services.ingest.packets import Login
from services.ingest.reasons import words
from services.ingest.session_limits import SESSION_EXPIRY_S, Limits, refusal
from services.ingest.wishes import Wishes

_log = log(part="session")
ACK_S = 10.0
RECEIVE_MAXIMUM = 1_000
OUT_BYTES_MAX = 4 * 1024 * 1024  # a broker that takes nothing is left before this grows
RETAINED_WHERE_NEW = 0x10  # retained copies only where the subscription is new: a reconnect is no news
Item = TypeVar("Item")
_ENDED = "the connection ended before the acknowledgement"


class Identity(NamedTuple):
    """A Login without the user name."""

    client_id: str
    password: str | None
    clean: bool


class Session:
    """`async with`: connected inside. `ended` resolves with the reason when the connection is over.

    Entering raises Refused("broker.refused") when the broker says no, Unavailable("broker.timeout") when it
    says nothing, Unavailable("broker.unreachable") when it hangs up, and what the channel raises.
    """

    def __init__(
        self,
        channel: Channel | socket.socket,
        settings: BrokerSettings,
        login: Login | Identity,
        on_messages: Callable[[Session, list[Incoming]], None],
        *,
        timeout_s: float = ACK_S,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.due: asyncio.Future[None] = self._loop.create_future()
        self.resumed = False  # the broker kept the session of an earlier connection
        self.limits = Limits()
        # A socket and an Identity: until every caller comes by `connected`.
        if isinstance(channel, socket.socket):
            channel = TcpChannel(channel)
        if isinstance(login, Identity):
            login = Login(login.client_id, settings.mqtt_username, login.password, login.clean)
        self._channel, self._settings, self._login, self._timeout_s = channel, settings, login, timeout_s
        self._on_messages = on_messages
        self._five = settings.mqtt_version == "5"
        self._connected: asyncio.Future[packets.Connack] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[bytes]] = {}  # SUBACKs and UNSUBACKs, by packet id
        self._outgoing = Outgoing(self._send)
        self._failure: Failure | None = None  # why the connection ended, where the channel knows
        self._rest, self._skip = b"", 0
        self._reading = self._paused = self._stopped = self._writing = self._mute = False

    async def __aenter__(self) -> Self:
        self._keepalive = Keepalive(self._settings.keepalive_s, lambda: self._send(packets.PING), self._fail)
        try:
            self._watch()
            self._send(self._connect())
            self._read()  # what came together with the opening of the channel
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._connected
            except TimeoutError as error:
                raise Unavailable("broker.timeout", "no answer to CONNECT") from error
            if answer.code:
                raise refusal(answer)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended.done():
            self._send(packets.GOODBYE)
        self._close()

    def _connect(self) -> bytes:
        properties = {packets.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM}
        if not self._login.clean:
            properties[packets.SESSION_EXPIRY] = SESSION_EXPIRY_S
        return packets.connect(
            self._login, self._settings.keepalive_s, five=self._five, properties=properties
        )

    # what comes in

    def acknowledge(self, messages: Iterable[tuple[int, int]]) -> None:
        """Tells the broker that these (mid, QoS) are ours now; after the end of the connection, nothing."""
        data = b"".join([frames.acknowledgement(mid, qos) for mid, qos in messages])
        if data and not self.ended.done():
            self._send(data)

    def end(self, reason: str) -> None:
        """Nothing more is read; whoever holds the session leaves it."""
        self.pause()
        if not self.ended.done():
            self.ended.set_result(reason)

    def renew(self) -> None:
        """It is time to connect anew: `due` resolves; nothing else changes."""
        if not self.due.done():
            self.due.set_result(None)

    def pause(self) -> None:
        self._paused = True
        self._keepalive.listening = False
        self._watch()

    def stop(self) -> None:
        """Nothing more is read; acknowledgements still go out."""
        self._stopped = True
        self.pause()

    def resume(self) -> None:
        if self._paused and not self._stopped and not self.ended.done():
            self._paused = False
            self._keepalive.listening = True
            self._watch()

    def _watch(self) -> None:
        """Has the event loop tell us of the socket exactly when we want to read it."""
        wanted = not self._paused and not self.ended.done()
        if wanted and not self._reading:
            self._loop.add_reader(self._channel.fileno(), self._read)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._channel.fileno())
        self._reading = wanted

    def _read(self) -> None:
        try:
            data = self._channel.receive()
        except BlockingIOError:
            return
        except Failure as failure:
            self._failure = failure
            self._fail(failure.detail)
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if not data:
            self._fail("the broker hung up")
            return
        self._keepalive.heard_at = self._loop.time()
        self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            messages, others, self._rest, self._skip = frames.split(
                self._rest + data, self._skip, five=self._five
            )
            if messages and not self._connected.done():
                raise Malformed
            if messages:
                self._hand_on(messages)
            for command, body in others:
                if self.ended.done():
                    return
                self._packet(command & 0xF0, body)
        except Malformed:
            self._fail("what the broker sends is no MQTT")

    def _hand_on(self, messages: list[Incoming]) -> None:
        try:
            self._on_messages(self, messages)
        except Exception:  # noqa: BLE001 — a defect: the broker sends them again over the next connection
            _log.exception("messages could not be taken")
            self._fail("messages could not be taken")

    def _packet(self, kind: int, body: bytes) -> None:
        if (kind == packets.CONNACK) == self._connected.done():
            raise Malformed  # it comes once, and first
        match kind:
            case packets.PUBACK | packets.PUBCOMP:
                self._outgoing.acknowledged(packets.ack(body, five=self._five))
            case packets.PUBREC:
                self._outgoing.received(packets.ack(body, five=self._five))
            case packets.PUBREL:
                self._send(packets.complete(packets.ack(body, five=self._five).mid))
            case packets.SUBACK | packets.UNSUBACK:
                answer = self._answers.get(int.from_bytes(body[:2], "big"))
                if answer is not None and not answer.done():
                    answer.set_result(body)
            case packets.CONNACK:
                self._accepted(packets.connack(body, five=self._five))
            case packets.DISCONNECT if self._five:
                self._fail(f"the broker ended the connection: {packets.disconnect(body)[1]}")
            case packets.PINGRESP:
                pass
            case _:
                raise Malformed

    def _accepted(self, answer: packets.Connack) -> None:
        self.resumed = answer.session_present
        self.limits = Limits.of(answer) if self._five else Limits()
        self._outgoing.window = self.limits.window
        if self.limits.keepalive_s is not None:
            self._keepalive.interval_s = self.limits.keepalive_s
        self._connected.set_result(answer)

    # what goes out

    async def subscribe(self, topics: Iterable[TopicFilter]) -> list[str | None]:
        """Per filter None, or in words why the broker refused it.

        Raises Unavailable("broker.timeout") or ("link.down"), as `unsubscribe` does.
        """
        answers: list[str | None] = []
        for some in _portions(list(topics), filters_a_subscribe(self._settings)):
            filters = [(topic.filter, min(topic.qos, self.limits.qos_max)) for topic in some]
            mid = self._next_mid()
            packet = packets.subscribe(mid, filters, five=self._five, options=RETAINED_WHERE_NEW)
            body = await self._answer(mid, packet, "SUBSCRIBE")
            _, codes, text = packets.suback(body, five=self._five)
            if len(codes) != len(some):
                raise Unavailable("link.down", "a SUBACK for another number of filters")
            answers += [words(code, text) if packets.failed(code) else None for code in codes]
        return answers

    async def unsubscribe(self, filters: Iterable[str]) -> None:
        for some in _portions(list(filters), filters_a_subscribe(self._settings)):
            mid = self._next_mid()
            await self._answer(mid, packets.unsubscribe(mid, some, five=self._five), "UNSUBSCRIBE")

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, wishes: Wishes | None = None
    ) -> str | None:
        """Returns when the broker has acknowledged (QoS 0: when it is on its way), with what it remarked.

        Its first step writes: what is begun in an order goes out in this order. `wishes` need MQTT 5.
        Raises Refused("broker.refused"), Unavailable("link.down"), Unavailable("broker.timeout").
        """
        if self.ended.done():
            raise Unavailable("link.down", "the integration is not connected")
        self.limits.check(qos, retain=retain)
        mid = self._next_mid() if qos else 0
        packet = packets.publish(
            mid,
            topic,
            payload,
            qos,
            retain=retain,
            five=self._five,
            properties=wishes.properties() if wishes is not None else None,
        )
        self.limits.check_size(len(packet))
        if qos == 0:
            self._send(packet)
            return None
        try:
            async with asyncio.timeout(ACK_S - 1):
                ack = await self._outgoing.put(mid, packet)
        except TimeoutError as error:
            raise Unavailable("broker.timeout", f"no acknowledgement within {ACK_S - 1:g} s") from error
        if packets.failed(ack.code):
            raise Refused("broker.refused", f"the broker refused it: {ack.said}")
        return ack.said if ack.code else None

    def _next_mid(self) -> int:
        while True:
            mid = self._outgoing.next_mid()
            if mid not in self._answers:
                return mid

    async def _answer(self, mid: int, packet: bytes, what: str) -> bytes:
        if self.ended.done():
            raise Unavailable("link.down", f"the connection ended before an answer to {what}")
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answers[mid] = answer
        try:
            self._send(packet)
            async with asyncio.timeout(ACK_S):
                return await answer
        except TimeoutError as error:
            raise Unavailable("broker.timeout", f"no answer to {what}") from error
        finally:
            del self._answers[mid]

    def _send(self, data: bytes) -> None:
        if self._mute or self.ended.done():
            return
        self._keepalive.sent_at = self._loop.time()
        try:
            self._channel.send(data)
        except (OSError, Failure):
            self._lost()
            return
        self._write_later()

    def _write(self) -> None:
        try:
            self._channel.flush()
        except (OSError, Failure):
            self._lost()
            return
        self._write_later()

    def _write_later(self) -> None:
        waiting = self._channel.waiting
        if waiting > OUT_BYTES_MAX:
            self._fail("the broker takes nothing")
        elif waiting and not self._writing:
            self._loop.add_writer(self._channel.fileno(), self._write)
        elif self._writing and not waiting:
            self._loop.remove_writer(self._channel.fileno())
        self._writing = 0 < waiting <= OUT_BYTES_MAX

    # how it ends

    def _lost(self) -> None:
        """Nothing can be sent any more. What the kernel still holds is read all the same: a broker that died may
        have told a publisher that it has a message, and never have saved it. Sent again, it is known as a copy.
        """
        self._mute = True
        while not self.ended.done():
            try:
                data = self._channel.receive()
            except (OSError, Failure) as error:  # BlockingIOError is one: nothing more is there
                if isinstance(error, Failure):
                    self._failure = error
                break
            if not data:
                break
            self._take(data)
        self._fail(self._failure.detail if self._failure else "the broker hung up")

    def _fail(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
        self._stop()

    def _stop(self) -> None:
        self._watch()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._channel.fileno())
        self._keepalive.stop()
        if not self._connected.done():
            reason = self.ended.result() if self.ended.done() else "closed"
            self._connected.set_exception(
                self._failure or Unavailable("broker.unreachable", f"{reason} before a CONNACK")
            )
            self._connected.exception()  # raised where it is awaited; else nobody asks
        over = Unavailable("link.down", _ENDED)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(over)
        self._outgoing.fail(over)

    def _close(self) -> None:
        if not self.ended.done():
            self.ended.set_result("closed")
        self._stop()
        with contextlib.suppress(OSError, Failure):
            self._channel.close()


def _portions(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[at : at + size]) for at in range(0, len(items), size)]
