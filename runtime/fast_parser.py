"""A short way from the socket to a hot subscription: no coroutine, no header dictionary, no Msg per message.

nats-py 2.16 spends about 10 µs on each message it delivers; framing alone takes about 1. This parser frames
the protocol itself, hands messages of hot subscriptions to a plain function as bytes, and gives every other
protocol unit, whole, to the stock parser: connection, authentication, reconnection stay nats-py's own.

The only place that touches nats-py's private `Client._ps`; the version is pinned in pyproject.toml.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

HotCallback = Callable[[bytes, bytes, bytes, bytes], None]
"""(subject, reply, raw headers, payload), called in the read loop: quick, and it must not raise."""

LINE_BYTES_MAX = 1024 * 1024  # an INFO of a large cluster; what is longer is no NATS


class FastParser(Parser):
    """Stock parser with a short cut for the subscriptions in `hot` (by id, as it stands on the wire)."""

    def __init__(self, client: Client) -> None:
        self.hot: dict[bytes, HotCallback] = {}
        self.rest = b""  # of a unit that has not arrived whole
        self.connection = 0  # counts resets: what came over an earlier connection is void
        super().__init__(client)

    def reset(self) -> None:
        self.rest = b""
        self.connection += 1
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        chunk = self.rest + data if self.rest else bytes(data)
        position, size, hot, connection = 0, len(chunk), self.hot, self.connection
        messages = payload_bytes = 0
        while position < size:
            line_end = chunk.find(b"\r\n", position)
            if line_end < 0:
                if size - position > LINE_BYTES_MAX:
                    raise ProtocolError("nats: a protocol line without an end")
                break
            head = chunk[position : position + 4]
            if head == b"HMSG":
                words = chunk[position:line_end].split()
                body = line_end + 2
                end = body + int(words[-1])
                if end + 2 > size:
                    break
                callback = hot.get(words[2])
                if callback is not None:
                    split = body + int(words[-2])
                    callback(
                        words[1], words[3] if len(words) == 6 else b"", chunk[body:split], chunk[split:end]
                    )
                    messages += 1
                    payload_bytes += end - split
                else:
                    await super().parse(chunk[position : end + 2])
                position = end + 2
            elif head == b"MSG ":
                words = chunk[position:line_end].split()
                body = line_end + 2
                end = body + int(words[-1])
                if end + 2 > size:
                    break
                callback = hot.get(words[2])
                if callback is not None:
                    callback(words[1], words[3] if len(words) == 5 else b"", b"", chunk[body:end])
                    messages += 1
                    payload_bytes += end - body
                else:
                    await super().parse(chunk[position : end + 2])
                position = end + 2
            else:
                await super().parse(chunk[position : line_end + 2])
                position = line_end + 2
            if connection != self.connection:
                return
        self.rest = chunk[position:]
        self.nc.stats["in_msgs"] += messages
        self.nc.stats["in_bytes"] += payload_bytes


class HotSubscription:
    """A subscription whose messages go straight to a callback; `unsubscribe` ends it."""

    def __init__(self, parser: FastParser, subscription: Subscription, id: bytes) -> None:
        self._parser, self._subscription, self._id = parser, subscription, id

    async def unsubscribe(self) -> None:
        self._parser.hot.pop(self._id, None)
        await self._subscription.unsubscribe()


async def subscribe(
    client: Client, subject: str, callback: HotCallback, *, queue: str = ""
) -> HotSubscription:
    """Subscribes like `client.subscribe`, past nats-py's own delivery."""
    while not isinstance(client._ps, FastParser):
        # Between two units only: the stock parser may be waiting in the middle of its buffer.
        if not client._ps.buf:
            client._ps = FastParser(client)
        else:
            await asyncio.sleep(0.001)
    parser = client._ps

    async def unreached(message: Msg) -> None:
        raise AssertionError(f"{message.subject} took the slow way")

    subscription = await client.subscribe(subject, queue=queue, cb=unreached)
    id = str(subscription._id).encode()
    parser.hot[id] = callback
    return HotSubscription(parser, subscription, id)


def headers(raw: bytes) -> dict[str, str]:
    """Raw headers as a dictionary; an inline status comes as `Status` and `Description`."""
    lines = raw.decode("utf-8", "surrogateescape").split("\r\n")
    found: dict[str, str] = {}
    status, _, description = lines[0][len("NATS/1.0") :].strip().partition(" ")
    if status:
        found["Status"] = status
        if description:
            found["Description"] = description
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found
