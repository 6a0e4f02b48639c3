"""The connection test's side of an MQTT conversation: one packet is sent, its answer awaited, the rest let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contracts.failures import Failure
from services.ingest import frames
from services.ingest.channel import Channel, receive
from services.ingest.frames import Incoming, Malformed
from services.ingest.packets import AUTH, CONNACK, DISCONNECT, disconnect

FIRST_BYTES = 64
PACKETS_MAX = 1_000  # that nobody asked for; a broker that keeps sending such is none
_FIRST_PACKETS = (CONNACK, AUTH, DISCONNECT)


class HungUp(Exception):
    """The connection ended; `code` and `said` are of the DISCONNECT before, `failure` is TLS's or WebSocket's."""

    def __init__(self, code: int | None = None, said: str = "", failure: Failure | None = None) -> None:
        super().__init__(said)
        self.code, self.said, self.failure = code, said, failure


class Conversation:
    """Over an open channel; whoever holds it closes that."""

    def __init__(self, channel: Channel, *, five: bool) -> None:
        self.first = b""  # what the peer said first
        self._channel, self._five = channel, five
        self._rest, self._skip = b"", 0
        self._packets: list[tuple[int, bytes]] = []
        self.on_messages: Callable[[list[Incoming]], None] = lambda _: None

    def say(self, packet: bytes) -> None:
        try:
            self._channel.send(packet)
        except Failure as failure:
            raise HungUp(failure=failure) from failure
        except OSError:
            pass  # the answer may be there all the same; `hear` finds out

    async def hear(self) -> tuple[int, bytes]:
        """The next packet that is no message: its type and its body. Raises HungUp, Malformed."""
        while not self._packets:
            await self._read()
        command, body = self._packets.pop(0)
        if command & 0xF0 == DISCONNECT:
            raise HungUp(*disconnect(body))
        return command & 0xF0, body

    async def hear_messages(self, enough: Callable[[], bool]) -> None:
        """Returns once `enough` is true after some messages; packets that come meanwhile wait for `hear`."""
        while not enough():
            await self._read()

    async def _read(self) -> None:
        try:
            data = await receive(self._channel)
        except Failure as failure:
            raise HungUp(failure=failure) from failure
        except OSError:
            data = b""
        if not data:
            raise HungUp
        if len(self.first) < FIRST_BYTES:
            self.first = (self.first + data)[:FIRST_BYTES]
            if self.first[0] not in _FIRST_PACKETS:
                raise Malformed
        messages, packets, self._rest, self._skip = frames.split(
            self._rest + data, self._skip, five=self._five
        )
        self._packets += packets
        if len(self._packets) > PACKETS_MAX:
            raise Malformed
        if messages:
            self.on_messages(messages)
        await asyncio.sleep(0)  # a flood must not keep everybody else waiting
