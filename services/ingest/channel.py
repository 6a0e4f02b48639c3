"""Bytes to and from a peer, without blocking: what carries MQTT, whatever lies below it.

A channel hides nothing from a selector: `receive` gives all that has come and can be read (TLS reads and
decrypts all at once), so that whoever waits for the socket to be readable waits for nothing that is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

READ_BYTES = 16_384
"""At once: 150 messages of 100 bytes, some ms of work. Who floods gives way to others in between."""


class NothingYet(BlockingIOError):
    """Something has come, and nothing of it can be handed on yet; more may be there."""


class Channel(Protocol):
    """`receive` and `send` raise a Failure where the peer's end is explained (a TLS alert, a WebSocket close),
    else OSError."""

    def fileno(self) -> int: ...

    def receive(self) -> bytes:
        """What has come, b"" at the end; raises BlockingIOError where nothing has.

        One read of the socket at most, then NothingYet: a peer whose bytes hold no MQTT must not keep the loop.
        """
        ...

    def send(self, data: bytes) -> None:
        """Takes all of it; what the kernel does not take at once waits, see `waiting`."""
        ...

    def flush(self) -> None:
        """Tries again with what waits: to be called when the socket takes more."""
        ...

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has not taken yet."""
        ...

    def close(self) -> None:
        """Says goodbye where the peer can be told at once; twice is harmless."""
        ...


class TcpChannel:
    """A connected, non-blocking socket."""

    __slots__ = ("_out", "_socket", "fileno")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._out = bytearray()
        self.fileno: Callable[[], int] = connection.fileno

    def receive(self) -> bytes:
        return self._socket.recv(READ_BYTES)

    def send(self, data: bytes) -> None:
        if self._out or not data:
            self._out += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._out += memoryview(data)[sent:]

    def flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._out:
                del self._out[: self._socket.send(self._out)]

    @property
    def waiting(self) -> int:
        return len(self._out)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.flush()
            self._socket.close()


async def receive(channel: Channel) -> bytes:
    """The next bytes, b"" at the end; whatever waits goes out first. For the steps before MQTT."""
    while True:
        await _flushed(channel)
        try:
            return channel.receive()
        except BlockingIOError:
            if not channel.waiting:
                await _ready(channel, asyncio.get_running_loop().add_reader, _remove_reader)


async def _flushed(channel: Channel) -> None:
    channel.flush()
    while channel.waiting:
        await _ready(channel, asyncio.get_running_loop().add_writer, _remove_writer)
        channel.flush()


async def _ready(
    channel: Channel, watch: Callable[[int, Callable[[], None]], object], leave: Callable[[int], object]
) -> None:
    ready = asyncio.Event()
    watch(channel.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        leave(channel.fileno())


def _remove_reader(descriptor: int) -> None:
    asyncio.get_running_loop().remove_reader(descriptor)


def _remove_writer(descriptor: int) -> None:
    asyncio.get_running_loop().remove_writer(descriptor)
