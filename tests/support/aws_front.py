"""AWS IoT Core's rules in front of another broker: a client certificate, ALPN, no QoS 2, eight filters a
SUBSCRIBE. What breaks one is hung up on, as the real one does, and noted in `violations`.

Source: docs.aws.amazon.com/iot/latest/developerguide/protocols.html and mqtt.html
"""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from deploy.local.ports import LOOPBACK

ALPN = "x-amzn-mqtt-ca"
FILTERS_MAX = 8


class Violation(Exception):
    """Against the rules: it hangs up."""


class AwsFront:
    """`async with`: listens with TLS on loopback, and relays to the broker at `upstream`."""

    def __init__(self, context: ssl.SSLContext, upstream: int) -> None:
        context.set_alpn_protocols([ALPN])
        context.verify_mode = ssl.CERT_REQUIRED
        self.violations: list[str] = []
        self.client_ids: list[str] = []
        self.subscribes: list[int] = []  # how many filters each had
        self._context, self._upstream = context, upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._five = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        back, out = await asyncio.open_connection(LOOPBACK, self._upstream)
        self._writers.add(out)
        down = asyncio.create_task(_copy(back, writer))
        try:
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
                raise Violation("ALPN")
            while True:
                first, length, body = await _packet(reader)
                self._check(first, body)
                out.write(bytes([first]) + length + body)
        except Violation as violation:
            self.violations.append(str(violation))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # gone, or the test has ended
        finally:
            down.cancel()
            writer.transport.abort()
            out.transport.abort()

    def _check(self, first: int, body: bytes) -> None:
        match first & 0xF0:
            case 0x10:
                self._five = body[6] == 5
                self.client_ids.append(_text(body, 11 + body[10] if self._five else 10)[0])
            case 0x30 if first & 0x04:
                raise Violation("a publish at QoS 2")
            case 0x80:
                at, filters = 3 + body[2] if self._five else 2, 0
                while at < len(body):
                    _, at = _text(body, at)
                    if body[at] & 3 == 2:
                        raise Violation("a subscription at QoS 2")
                    at, filters = at + 1, filters + 1
                self.subscribes.append(filters)
                if filters > FILTERS_MAX:
                    raise Violation(f"{filters} filters in a SUBSCRIBE")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    first, length, size = (await reader.readexactly(1))[0], b"", 0
    while True:
        byte = await reader.readexactly(1)
        size |= (byte[0] & 0x7F) << 7 * len(length)
        length += byte
        if byte[0] < 0x80:
            return first, length, await reader.readexactly(size)


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end
