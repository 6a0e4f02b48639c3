"""An Azure IoT Hub by its documented rules, as far as MQTT goes: signed tokens that expire, kept sessions, its
own topics, nothing else. What breaks a rule is hung up on, as the real one does, and noted in `violations`.

Source: learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote

from deploy.local.ports import LOOPBACK
from tests.support.mqtt_wire import packet, text

WINDOW = 100


class Violation(Exception):
    """Against the hub's rules: it hangs up."""


@dataclass
class DeviceSession:
    """What the hub keeps of a device between its connections."""

    filters: set[str] = field(default_factory=set)
    waiting: deque[bytes] = field(default_factory=deque)  # not sent yet
    sent: dict[int, bytes] = field(default_factory=dict)  # not acknowledged yet, by packet id
    mid: int = 0


class AzureHub:
    """`async with`: listens with TLS on loopback. `clock_ahead_s`: its tokens expire so much earlier."""

    def __init__(self, context: ssl.SSLContext, device: str, *, clock_ahead_s: float = 0) -> None:
        self.name, self.device = "test-hub.azure-devices.net", device
        self.key = base64.b64encode(os.urandom(32)).decode()
        self.session: DeviceSession | None = None
        self.accepted: list[
            int
        ] = []  # numbers that are in the session: the hub would keep them through anything
        self.received: list[tuple[str, bytes]] = []
        self.violations: list[str] = []
        self.logins = self.resumed = self.expired = 0
        self._context, self._ahead_s = context, clock_ahead_s
        self._connection: _Connection | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        if self._connection is not None:
            self._connection.hang_up()

    def now(self) -> float:
        return time.time() + self._ahead_s

    @property
    def subscribed(self) -> bool:
        return self.session is not None and bool(self.session.filters)

    def send(self, number: int) -> None:
        """A cloud-to-device message, for whenever the device is there."""
        assert self.session is not None
        self.session.waiting.append(b"%d" % number)
        self.accepted.append(number)
        if self._connection is not None:
            self._connection.pump()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        try:
            await connection.run()
        except Violation as violation:
            self.violations.append(str(violation))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # gone, or the test has ended
        finally:
            connection.hang_up()
            if self._connection is connection:
                self._connection = None

    def enter(self, connection: _Connection, *, clean: bool) -> bool:
        """The newest connection of a client id is the one that stays; whether there was a session."""
        if self._connection is not None:
            self._connection.hang_up()
        self._connection = connection
        self.logins += 1
        present = self.session is not None and not clean
        if not present:
            self.session = DeviceSession()
        self.resumed += present
        return present

    def check_token(self, password: str) -> float:
        """When it expires, by the hub's clock. Raises Violation."""
        scheme, _, fields = password.partition(" ")
        values = dict(parse_qsl(fields))
        raw = dict(part.split("=", 1) for part in fields.split("&"))
        if scheme != "SharedAccessSignature" or set(values) != {"sr", "sig", "se"}:
            raise Violation(f"no token: {scheme} with {sorted(values)}")
        if values["sr"] != f"{self.name}/devices/{self.device}":
            raise Violation(f"a token for {values['sr']}")
        signed = f"{raw['sr']}\n{raw['se']}".encode()
        expected = hmac.digest(base64.b64decode(self.key), signed, hashlib.sha256)
        if base64.b64decode(unquote(raw["sig"])) != expected:
            raise Violation("a token with another signature")
        if float(values["se"]) <= self.now():
            raise Violation("a token that is expired")
        return float(values["se"])


class _Connection:
    def __init__(self, hub: AzureHub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hub, self._reader, self._writer = hub, reader, writer
        self._timer: asyncio.TimerHandle | None = None

    def hang_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._writer.transport.abort()

    def _expire(self) -> None:
        self._hub.expired += 1
        self.hang_up()

    async def run(self) -> None:
        kind, body = await self._packet()
        if kind != 0x10:
            raise Violation("something before CONNECT")
        self._connect(body)
        while True:
            kind, body = await self._packet()
            session = self._hub.session
            assert session is not None
            match kind & 0xF0:
                case 0x80:
                    self._subscribe(session, body)
                case 0x30:
                    self._publish(kind, body)
                case 0x40:
                    session.sent.pop(int.from_bytes(body[:2], "big"), None)
                    self.pump()
                case 0xA0:
                    self._writer.write(packet(0xB0, body[:2]))
                case 0xC0:
                    self._writer.write(b"\xd0\0")
                case 0xE0:
                    return
                case _:
                    raise Violation(f"a packet of type {kind:#x}")

    def _connect(self, body: bytes) -> None:
        protocol, at = _text(body, 0)
        level, flags = body[at], body[at + 1]
        if (protocol, level) != ("MQTT", 4):
            raise Violation("not MQTT 3.1.1")
        client_id, at = _text(body, at + 4)
        if flags & 0xC0 != 0xC0:
            raise Violation("no user name and password")
        username, at = _text(body, at)
        password, at = _text(body, at)
        hub = self._hub
        if client_id != hub.device:
            raise Violation(f"the client id {client_id}")
        if username != f"{hub.name}/{hub.device}/?api-version=2021-04-12":
            raise Violation(f"the user name {username}")
        expires_at = hub.check_token(password)
        self._timer = asyncio.get_running_loop().call_later(expires_at - hub.now(), self._expire)
        present = hub.enter(self, clean=bool(flags & 2))
        self._writer.write(bytes((0x20, 2, present, 0)))
        session = hub.session
        assert session is not None
        for mid, payload in session.sent.items():
            self._deliver(mid, payload, dup=True)
        self.pump()

    def _subscribe(self, session: DeviceSession, body: bytes) -> None:
        at, granted = 2, b""
        while at < len(body):
            filter, at = _text(body, at)
            qos, at = body[at], at + 1
            if filter != f"devices/{self._hub.device}/messages/devicebound/#":
                raise Violation(f"the filter {filter}")
            if qos > 1:
                raise Violation("QoS 2")
            session.filters.add(filter)
            granted += bytes((qos,))
        self._writer.write(packet(0x90, body[:2] + granted))
        self.pump()

    def _publish(self, first: int, body: bytes) -> None:
        qos = first >> 1 & 3
        topic, at = _text(body, 0)
        if qos > 1 or not topic.startswith(f"devices/{self._hub.device}/messages/events/"):
            raise Violation(f"a publish at QoS {qos} to {topic}")
        if qos:
            self._writer.write(packet(0x40, body[at : at + 2]))
            at += 2
        self._hub.received.append((topic, body[at:]))

    def pump(self) -> None:
        session = self._hub.session
        assert session is not None
        while session.filters and session.waiting and len(session.sent) < WINDOW:
            session.mid = session.mid % 65_535 + 1
            session.sent[session.mid] = session.waiting.popleft()
            self._deliver(session.mid, session.sent[session.mid], dup=False)

    def _deliver(self, mid: int, payload: bytes, *, dup: bool) -> None:
        topic = f"devices/{self._hub.device}/messages/devicebound/x"
        self._writer.write(packet(0x3A if dup else 0x32, text(topic) + mid.to_bytes(2, "big") + payload))

    async def _packet(self) -> tuple[int, bytes]:
        first = (await self._reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, await self._reader.readexactly(length)


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end
