"""WebSocket over another channel: the opening handshake, then MQTT's bytes in binary frames (RFC 6455)."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from contracts.failures import Failure, Refused, Unavailable
from services.ingest import websocket_frames as ws
from services.ingest.channel import Channel, NothingYet, receive

PONGS_WAITING_MAX = 64 * 1024  # bytes: a peer that pings and does not read is let go of


class Upgraded(NamedTuple):
    """What the peer answered."""

    status: int
    reason: str
    subprotocol: str | None


class WebSocketChannel:
    __slots__ = ("_closed", "_lower", "_receiver", "_started", "fileno", "upgraded")

    def __init__(self, lower: Channel, rest: bytes, upgraded: Upgraded) -> None:
        self._lower, self.upgraded = lower, upgraded
        self._receiver = ws.Receiver(rest)
        self._started = self._closed = False
        self.fileno = lower.fileno

    def receive(self) -> bytes:
        try:
            if not self._started:  # frames that came together with the handshake
                self._started = True
                if data := self._receiver.take(b""):
                    return data
            raw = self._lower.receive()
            data = self._receiver.take(raw)
            if self._receiver.replies:
                self._pong()
        except ws.Violation as violation:
            self._say_goodbye(violation.code)
            raise Unavailable("websocket.invalid", str(violation)) from violation
        except ws.Closed as closed:
            self._say_goodbye(closed.code or ws.NORMAL)
            raise Unavailable("websocket.closed", f"the broker closed the WebSocket: {closed}") from closed
        if raw and not data:
            raise NothingYet
        return data

    def _pong(self) -> None:
        if self._lower.waiting > PONGS_WAITING_MAX:
            raise Unavailable("websocket.invalid", "the broker pings and does not read")
        self._lower.send(b"".join([ws.frame(payload, ws.PONG) for payload in self._receiver.replies]))
        self._receiver.replies.clear()

    def send(self, data: bytes) -> None:
        self._lower.send(ws.frame(data))

    def flush(self) -> None:
        self._lower.flush()

    @property
    def waiting(self) -> int:
        return self._lower.waiting

    def close(self) -> None:
        if self.fileno() >= 0:
            self._say_goodbye(ws.NORMAL)
        self._lower.close()

    def _say_goodbye(self, code: int) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError, Failure):
                self._lower.send(ws.closing(code))


async def upgrade(lower: Channel, *, host: str, port: int, path: str, tls: bool) -> WebSocketChannel:
    """The opening handshake; the caller closes the channel where this raises, and bounds the time.

    Raises Refused("websocket.refused") for a 3xx or 4xx, Unavailable of the same code for others,
    Unavailable("websocket.invalid") for what is no WebSocket.
    """
    key = ws.new_key()
    try:
        lower.send(ws.request(host, port, path, key, tls=tls))
    except ValueError as error:
        raise Refused("websocket.refused", str(error), field="settings.path") from error
    data = b""
    try:
        while (found := ws.answer(data)) is None:
            more = await receive(lower)
            if not more:
                raise Unavailable("websocket.invalid", "the peer hung up at the request for a WebSocket")
            data += more
    except ValueError as error:
        raise Unavailable("websocket.invalid", str(error)) from error
    except OSError as error:
        raise Unavailable("websocket.invalid", "the peer hung up at the request for a WebSocket") from error
    head, rest = found
    if head.status != 101:
        family = Refused if 300 <= head.status < 500 else Unavailable
        raise family(
            "websocket.refused", f"HTTP {head.status} {head.reason}".rstrip(), http_status=head.status
        )
    if (wrong := ws.objection(head, key)) is not None:
        raise Unavailable("websocket.invalid", f"the answer is not a WebSocket's: {wrong}")
    return WebSocketChannel(
        lower, rest, Upgraded(head.status, head.reason, head.headers.get("sec-websocket-protocol"))
    )
