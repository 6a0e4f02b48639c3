"""Takes a device's place at the hosted broker: its connection ends without its will, its session is gone.

nats-server drops the will of a connection that another one with the same client id replaces (MQTT 3.1.1,
3.1.4-2), where a kick would publish it; and a clean session throws away the one that was there, with its
subscriptions and what was queued for it. So a CONNECT and a DISCONNECT are all that is needed.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.observe import log

_log = log(part="takeover")
TIMEOUT_S = 2.0  # the server holds an id that was just taken over for a second
AT_A_TIME = 32
PORTS = {"mqtt": 1883, "mqtts": 8883}
_ACCEPTED = b"\x20\x02\0\0"
_DISCONNECT = b"\xe0\0"


class Listener(NamedTuple):
    """The broker's own listener, and the platform's user there."""

    url: str
    username: str
    password: str
    authority: Path | None = None
    """Who signed its certificate; None: one of the system's authorities."""


class Takeover:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def __call__(self, client_id: str) -> bool:
        """Whether the session of this client id, live or not, is gone now. Logs why not."""
        async with self._turns:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    return await self._take(client_id)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                _log.warning("a session cannot be taken over", client_id=client_id, error=repr(error))
                return False

    async def _take(self, client_id: str) -> bool:
        url = urlsplit(self._listener.url)
        context = (
            ssl.create_default_context(cafile=self._listener.authority) if url.scheme == "mqtts" else None
        )
        reader, writer = await asyncio.open_connection(
            url.hostname, url.port or PORTS[url.scheme], ssl=context
        )
        try:
            writer.write(connect_packet(client_id, self._listener.username, self._listener.password))
            accepted = await reader.readexactly(len(_ACCEPTED)) == _ACCEPTED
            if accepted:
                writer.write(_DISCONNECT)
                await writer.drain()
            return accepted
        finally:
            writer.close()


def connect_packet(client_id: str, username: str, password: str) -> bytes:
    """MQTT 3.1.1 §3.1, with user name, password and a clean session."""
    body = b"\0\x04MQTT\x04\xc2\0\x0a" + b"".join(
        len(data).to_bytes(2, "big") + data
        for data in (client_id.encode(), username.encode(), password.encode())
    )
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes((digit | (0x80 if size else 0),))
        if not size:
            return b"\x10" + length + body
