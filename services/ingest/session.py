"""One connection to an MQTT broker. The only place that touches aiomqtt's and paho's private attributes.

What differs from aiomqtt 2.5.1 on paho 2.2.0, whose versions are pinned:

- nothing is acknowledged before `acknowledge` says so. For QoS 2 that is the PUBREC: paho would send it at
  once, and lose the message in a crash before the PUBREL;
- what one read of the socket brings is framed here and handed on as a list (paho reads single bytes, makes an
  object, a log line and a topic match per message: 25 µs); all other packets go to paho's own handlers;
- reading can be paused, so that a broker without a limit is held back by TCP;
- the socket is ours, connected to a checked address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.failures import Refused, Unavailable
from runtime.observe import log
from services.ingest import frames
from services.ingest.frames import Incoming, Malformed
from services.ingest.wishes import Wishes

_log = log(part="session")
READ_BYTES = 65_536
SESSION_EXPIRY_S = 7 * 24 * 3600  # an outage of ours over a week-end loses nothing, if the broker agrees
RECEIVE_MAXIMUM = 1_000
ACK_S = 10.0
CLOSE_S = 2.0


class Identity(NamedTuple):
    """Who we are to a broker, and for how long: a clean session ends with the connection."""

    client_id: str
    password: str | None
    clean: bool


class Session:
    """`async with`: connected inside. `ended` resolves with the reason when the connection is over.

    Entering raises Refused("broker.refused") when the broker says no, Unavailable("broker.timeout") when it
    says nothing, Unavailable("broker.unreachable") when it hangs up.
    """

    def __init__(
        self,
        connection: socket.socket,
        settings: BrokerSettings,
        identity: Identity,
        on_messages: Callable[[Session, list[Incoming]], None],
        *,
        timeout_s: float = ACK_S,
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._socket = connection
        self._on_messages = on_messages
        self._paused = False
        self._five = settings.mqtt_version == "5"
        self._rest = b""
        self._skip = 0
        self._published: dict[int, asyncio.Future[ReasonCode]] = {}
        self._remarks: dict[int, ReasonCode] = {}  # of PUBRECs, until their PUBCOMP
        self._client = aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=identity.password,
            identifier=identity.client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if self._five else aiomqtt.ProtocolVersion.V311,
            clean_session=None if self._five else identity.clean,
            clean_start=identity.clean if self._five else MQTT_CLEAN_START_FIRST_ONLY,
            properties=_connect_properties(identity.clean) if self._five else None,
            keepalive=settings.keepalive_s,
            timeout=timeout_s,
        )
        inner: Any = self._client._client  # noqa: SLF001 — see above
        self._inner = inner
        inner.suppress_exceptions = False
        inner._create_socket_connection = lambda: connection  # noqa: SLF001
        inner.loop_read = self._read
        self._paho_close = inner._sock_close  # noqa: SLF001
        inner._sock_close = self._close  # noqa: SLF001
        self._aiomqtt_on_disconnect = inner.on_disconnect
        inner.on_disconnect = self._on_disconnect
        inner.on_publish = self._on_publish

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except MqttConnectError as error:
            self._abandon()
            raise Refused("broker.refused", str(error.rc)) from error
        except aiomqtt.MqttError as error:
            self._abandon()
            if "timed out" in str(error):
                raise Unavailable("broker.timeout", "no answer to CONNECT") from error
            raise Unavailable("broker.unreachable", str(error)) from error
        except BaseException:
            self._abandon()
            raise
        self._client._disconnected.add_done_callback(self._on_ended)  # noqa: SLF001
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.timeout = CLOSE_S
        try:
            with contextlib.suppress(aiomqtt.MqttError):  # a peer that does not let go is let go of
                await self._client.__aexit__(kind, error, trace)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._inner._sock_close()  # noqa: SLF001
        self._socket.close()
        if not self.ended.done():
            self.ended.set_result("closed")
        for waiting in self._published.values():
            if not waiting.done():
                waiting.set_exception(
                    Unavailable("link.down", "the connection ended before the acknowledgement")
                )

    # what comes in

    def acknowledge(self, messages: Iterable[tuple[int, int]]) -> None:
        """Tells the broker that these (mid, QoS) are ours now; after the end of the connection, nothing."""
        packets = b"".join([frames.acknowledgement(mid, qos) for mid, qos in messages])
        if packets and not self.ended.done():
            self._inner._packet_queue(frames.PUBACK, packets, 0, 0)  # noqa: SLF001

    def end(self, reason: str) -> None:
        """Nothing more is read; whoever holds the session leaves it."""
        self.pause()
        if not self.ended.done():
            self.ended.set_result(reason)

    def pause(self) -> None:
        if not self._paused and not self.ended.done():
            self._paused = True
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def resume(self) -> None:
        if self._paused and not self.ended.done():
            self._paused = False
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def _read(self, *_: Any) -> MQTTErrorCode:
        inner = self._inner
        try:
            data = inner._sock_recv(READ_BYTES)  # noqa: SLF001
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._fail(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        inner._last_bytes_received = asyncio.get_running_loop().time()  # noqa: SLF001 — both are monotonic
        try:
            messages, others, self._rest, self._skip = frames.split(
                self._rest + data, self._skip, five=self._five
            )
        except Malformed:
            return self._fail(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        if messages:
            try:
                self._on_messages(self, messages)
            except Exception:  # noqa: BLE001 — a defect: the broker sends them again over the next connection
                _log.exception("messages could not be taken")
                return self._fail(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        for command, body in others:
            if inner._sock is None:  # noqa: SLF001 — an earlier one of them ended the connection
                break
            result = self._handle(command, body)
            if result > 0:
                return self._fail(result)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle(self, command: int, body: bytes) -> MQTTErrorCode:
        """Any packet but a PUBLISH."""
        inner = self._inner
        if command & 0xF0 == frames.PUBREL:
            inner._send_pubcomp(int.from_bytes(body[:2], "big"))  # noqa: SLF001
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if command & 0xF0 == frames.PUBREC and len(body) > 2 and self._received(body):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        inner._in_packet.update(command=command, packet=bytearray(body), remaining_length=len(body))  # noqa: SLF001
        try:
            result: MQTTErrorCode = inner._packet_handle()  # noqa: SLF001
        except Exception:  # noqa: BLE001 — paho takes any bytes for what they claim to be
            result = MQTTErrorCode.MQTT_ERR_PROTOCOL
        return result

    def _close(self) -> None:
        """paho closes at the first write that fails; a broker that died may have sent more before."""
        if self._inner._sock is not None and not self.ended.done():  # noqa: SLF001
            self._read_the_rest()
        self._paho_close()

    def _read_the_rest(self) -> None:
        """Messages that the kernel still holds: such a broker may have told their publishers that it has them,
        and never have saved them. Acknowledged they cannot be any more; sent again, they are known as copies.
        """
        data = self._rest
        self._rest = b""
        with contextlib.suppress(OSError):
            while more := self._socket.recv(READ_BYTES):
                data += more
        with contextlib.suppress(Malformed):
            messages, *_ = frames.split(data, self._skip, five=self._five)
            if messages:
                self._on_messages(self, messages)

    def _fail(self, code: MQTTErrorCode) -> MQTTErrorCode:
        result: MQTTErrorCode = self._inner._loop_rc_handle(code)  # noqa: SLF001
        return result

    # what goes out

    async def subscribe(self, topics: Iterable[TopicFilter]) -> list[str | None]:
        """Per filter None, or in words why the broker refused it.

        Raises Unavailable("broker.timeout") or ("link.down"), as `unsubscribe` does.
        """
        topics = list(topics)
        wanted: Any
        if self._five:
            # Retained copies only where the subscription is new: a reconnect is no news.
            wanted = [(topic.filter, SubscribeOptions(qos=topic.qos, retainHandling=1)) for topic in topics]
        else:
            wanted = [(topic.filter, topic.qos) for topic in topics]
        with _as_failures("SUBSCRIBE"):
            codes = await self._client.subscribe(wanted)
        return [str(code) if code.is_failure else None for code in codes]  # type: ignore[union-attr]

    async def unsubscribe(self, filters: Iterable[str]) -> None:
        if filters := list(filters):
            with _as_failures("UNSUBSCRIBE"):
                await self._client.unsubscribe(filters)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, wishes: Wishes | None = None
    ) -> str | None:
        """Returns when the broker has acknowledged (QoS 0: when it is on its way), with what it remarked.

        Its first step writes: what is begun in an order goes out in this order. `wishes` need MQTT 5.
        Raises Refused("broker.refused"), Unavailable("link.down"), Unavailable("broker.timeout").
        """
        if self.ended.done():
            raise Unavailable("link.down", "the integration is not connected")
        properties = wishes.properties() if wishes is not None and self._five else None
        info = self._inner.publish(topic, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Unavailable("link.down", "the integration is not connected")
        if qos == 0:
            return None
        waiting: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._published[info.mid] = waiting
        try:
            async with asyncio.timeout(ACK_S - 1):
                code = await waiting
        except TimeoutError as error:
            raise Unavailable("broker.timeout", f"no acknowledgement within {ACK_S - 1:g} s") from error
        finally:
            del self._published[info.mid]
            self._remarks.pop(info.mid, None)
        if code.is_failure:
            raise Refused("broker.refused", f"the broker refused it: {code}")
        return str(code) if code.value else None

    def _received(self, body: bytes) -> bool:
        """A PUBREC with a reason (5 §3.5.2.1), which paho overlooks: true where it ends the exchange."""
        mid, code = int.from_bytes(body[:2], "big"), body[2]
        waiting = self._published.get(mid)
        if mid not in self._inner._out_messages:  # noqa: SLF001
            return False
        try:
            reason = ReasonCode(PacketTypes.PUBREC, identifier=code)
        except KeyError:
            return False
        if not reason.is_failure:
            if code and waiting is not None:
                self._remarks[mid] = reason
            return False
        self._inner._do_on_publish(mid, reason, None)  # noqa: SLF001
        return True

    # paho's callbacks

    def _on_disconnect(self, client: Any, data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        connected = self._client._connected  # noqa: SLF001
        if not connected.done():  # aiomqtt would wait for a CONNACK that cannot come any more
            connected.set_exception(aiomqtt.MqttError("the connection ended before a CONNACK"))
            return
        self._aiomqtt_on_disconnect(client, data, flags, code, properties)

    def _on_publish(self, _: Any, __: Any, mid: int, code: ReasonCode, ___: Any) -> None:
        code = self._remarks.pop(mid, code) if not code.is_failure else code
        waiting = self._published.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(code)

    def _on_ended(self, disconnected: asyncio.Future[None]) -> None:
        if self.ended.done():
            return
        error = None if disconnected.cancelled() else disconnected.exception()
        self.ended.set_result(str(error) if error else "closed")


@contextlib.contextmanager
def _as_failures(what: str) -> Iterator[None]:
    try:
        yield
    except aiomqtt.MqttError as error:
        if "timed out" in str(error):
            raise Unavailable("broker.timeout", f"no answer to {what}") from error
        raise Unavailable("link.down", f"the connection ended before an answer to {what}") from error


def _connect_properties(clean: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0 if clean else SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties
