"""One connection to an MQTT broker, 3.1.1 or 5, over a channel.

Our own, because no library keeps these promises (decision 14 has the figures): nothing that comes is
acknowledged before `acknowledge` says so, for QoS 2 not by a PUBREC either; what one read of the socket brings
is handed on as a list; reading can be paused, so that a broker without a limit is held back by TCP; and
whatever a broker says of its reasons is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter, filters_a_subscribe
from contracts.failures import Refused, Unavailable
from runtime.observe import log
from services.ingest import frames, packets
from services.ingest.channel import Channel
from services.ingest.frames import Incoming, Malformed
from services.ingest.keepalive import Keepalive
from services.ingest.outgoing import Outgoing
from services.ingest.packets import Connack, Login
from services.ingest.reasons import words
from services.ingest.requests import Requests
from services.ingest.session_limits import SESSION_EXPIRY_S, Limits, refusal
from services.ingest.wire import Wire
from services.ingest.wishes import Wishes

_log = log(part="session")
CONNACK_S = 10.0
ACK_S = 9.0
NO_MQTT = "what the broker sends is no MQTT"
RECEIVE_MAXIMUM = 1_000
RETAINED_WHERE_NEW = 0x10  # retained copies only where the subscription is new: a reconnect is no news
Item = TypeVar("Item")


class Session:
    """`async with`: connected inside. `ended` resolves with the reason when the connection is over.

    Entering raises Refused or Unavailable by the code of `reasons.refusal` when the broker says no,
    Unavailable("broker.timeout") when it says nothing, ("broker.closed") when it hangs up, ("broker.not_mqtt")
    when it is none, and what the channel raises.
    """

    def __init__(
        self,
        channel: Channel,
        settings: BrokerSettings,
        login: Login,
        on_messages: Callable[[Session, list[Incoming]], None],
        *,
        timeout_s: float = CONNACK_S,
    ) -> None:
        self.resumed = False  # the broker kept the session of an earlier connection
        self.limits = Limits()
        self.granted: dict[str, int] = {}  # by filter: the QoS, or the reason why not (from 0x80 on)
        self._settings, self._login, self._timeout_s = settings, login, timeout_s
        self._on_messages = on_messages
        self._five = settings.mqtt_version == "5"
        self._rest, self._skip = b"", 0
        self._completed: list[bytes] = []  # PUBCOMPs of one read, sent together
        self._wire = Wire(channel, on_data=self._take, on_ended=self._over)
        self.ended = self._wire.ended
        loop = asyncio.get_running_loop()
        self.due: asyncio.Future[None] = loop.create_future()
        self._connected: asyncio.Future[Connack] = loop.create_future()
        self._outgoing, self._requests = Outgoing(self._wire.send), Requests(self._wire.send)
        self._keepalive = Keepalive(settings.keepalive_s, self._wire, packets.PING)

    async def __aenter__(self) -> Self:
        try:
            self._wire.send(self._connect())
            self._wire.begin()
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._connected
            except TimeoutError as error:
                raise Unavailable("broker.timeout", "no answer to CONNECT") from error
            if answer.code:
                raise refusal(answer)
        except BaseException:
            self._wire.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.send(packets.GOODBYE)
        self._wire.close()

    def _connect(self) -> bytes:
        properties = {packets.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM}
        if not self._login.clean:
            properties[packets.SESSION_EXPIRY] = SESSION_EXPIRY_S
        return packets.connect(
            self._login, self._settings.keepalive_s, five=self._five, properties=properties
        )

    def acknowledge(self, messages: Iterable[tuple[int, int]]) -> None:
        """Tells the broker that these (mid, QoS) are ours now; after the end of the connection, nothing."""
        if data := b"".join([frames.acknowledgement(mid, qos) for mid, qos in messages]):
            self._wire.send(data)

    def end(self, reason: str) -> None:
        """Nothing more is read; whoever holds the session leaves it."""
        self._wire.fail(reason)

    def renew(self) -> None:
        """It is time to connect anew: `due` resolves; nothing else changes."""
        if not self.due.done():
            self.due.set_result(None)

    def pause(self) -> None:
        self._wire.pause()

    def resume(self) -> None:
        self._wire.resume()

    def stop(self) -> None:
        """Nothing more is read, for good; acknowledgements still go out."""
        self._wire.stop()

    # what comes in

    def _take(self, data: bytes) -> None:
        try:
            if not self._connected.done() and (self._rest or data)[0] != packets.CONNACK:
                raise Malformed  # whatever it is, it need not be heard to its end
            messages, others, self._rest, self._skip = frames.split(
                self._rest + data, self._skip, five=self._five
            )
            if others and not self._connected.done():
                # A session that is taken up again: its first messages come in the CONNACK's own segment.
                command, body = others.pop(0)
                self._packet(command & 0xF0, body)
            if messages:
                if not self._connected.done():
                    raise Malformed
                self._hand_on(messages)
            for command, body in others:
                if self.ended.done():
                    return
                self._packet(command & 0xF0, body)
            if self._completed:
                completed, self._completed = self._completed, []
                self._wire.send(b"".join(completed))
        except Malformed:
            self._wire.fail(NO_MQTT)

    def _hand_on(self, messages: list[Incoming]) -> None:
        try:
            self._on_messages(self, messages)
        except Exception:  # noqa: BLE001 — a defect: the broker sends them again over the next connection
            _log.exception("messages could not be taken")
            self._wire.fail("messages could not be taken")

    def _packet(self, kind: int, body: bytes) -> None:
        if (kind == packets.CONNACK) == self._connected.done():
            raise Malformed  # it comes once, and first
        match kind:
            case packets.PUBACK | packets.PUBCOMP:
                self._outgoing.acknowledged(packets.ack(body, five=self._five))
            case packets.PUBREC:
                self._outgoing.received(packets.ack(body, five=self._five))
            case packets.PUBREL:
                self._completed.append(packets.complete(packets.ack(body, five=self._five).mid))
            case packets.SUBACK | packets.UNSUBACK:
                self._requests.answered(body)
            case packets.CONNACK:
                self._accepted(packets.connack(body, five=self._five))
            case packets.DISCONNECT if self._five:
                self._wire.fail(f"the broker ended the connection: {packets.disconnect(body)[1]}")
            case packets.PINGRESP:
                pass
            case _:
                raise Malformed

    def _accepted(self, answer: Connack) -> None:
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
            codes, text = await self._ask(mid, packet, "SUBSCRIBE")
            if len(codes) != len(some):
                raise Unavailable("link.down", "a SUBACK for another number of filters")
            answers += [words(code, text) if packets.failed(code) else None for code in codes]
            self.granted |= {topic.filter: code for topic, code in zip(some, codes, strict=True)}
        return answers

    async def unsubscribe(self, filters: Iterable[str]) -> None:
        for some in _portions(list(filters), filters_a_subscribe(self._settings)):
            mid = self._next_mid()
            await self._ask(mid, packets.unsubscribe(mid, some, five=self._five), "UNSUBSCRIBE")
            for filter in some:
                self.granted.pop(filter, None)

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
        properties = wishes.properties() if wishes is not None else None
        packet = packets.publish(
            mid, topic, payload, qos, retain=retain, five=self._five, properties=properties
        )
        self.limits.check_size(len(packet))
        if qos == 0:
            self._wire.send(packet)
            return None
        try:
            async with asyncio.timeout(ACK_S):
                ack = await self._outgoing.put(mid, packet)
        except TimeoutError as error:
            raise Unavailable("broker.timeout", f"no acknowledgement within {ACK_S:g} s") from error
        if packets.failed(ack.code):
            raise Refused("broker.refused", f"the broker refused it: {ack.said}")
        return ack.said if ack.code else None

    @property
    def unsent(self) -> int:
        """Bytes that the broker has not taken yet."""
        return self._wire.unsent

    def post(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Topics and payloads at QoS 0, together; after the end of the connection, nothing."""
        made = [
            packets.publish(0, topic, payload, 0, retain=False, five=self._five)
            for topic, payload in messages
        ]
        self._wire.send(b"".join(made))

    def _next_mid(self) -> int:
        while (mid := self._outgoing.next_mid()) in self._requests:
            pass
        return mid

    async def _ask(self, mid: int, packet: bytes, what: str) -> tuple[list[int], bytes | None]:
        if self.ended.done():
            reason = self.ended.result()
            raise Unavailable("link.down", f"the connection ended before an answer to {what}: {reason}")
        try:
            _, codes, text = packets.suback(await self._requests.ask(mid, packet, what), five=self._five)
        except Malformed as error:
            raise Unavailable("link.down", f"the answer to {what} is no MQTT") from error
        return codes, text

    def _over(self) -> None:
        self._keepalive.stop()
        if not self._connected.done():
            reason = self.ended.result()
            code = "broker.not_mqtt" if reason == NO_MQTT else "broker.closed"
            closed = Unavailable(code, f"{reason} before a CONNACK")
            self._connected.set_exception(self._wire.failure or closed)
            self._connected.exception()  # raised where it is awaited; else nobody asks
        over = Unavailable(
            "link.down", f"the connection ended before the acknowledgement: {self.ended.result()}"
        )
        self._requests.fail(over)
        self._outgoing.fail(over)


def _portions(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[at : at + size]) for at in range(0, len(items), size)]
