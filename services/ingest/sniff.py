"""What does a port speak? Greeted in each way over a connection of its own, without any login."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.broker_settings import BrokerSettings
from contracts.failures import Failure
from services.ingest import tls, websocket_frames
from services.ingest.channel import Channel, receive
from services.ingest.diagnosis import Speaks
from services.ingest.network import Network
from services.ingest.packets import Login, connect
from services.ingest.tls import Trust
from services.ingest.transport import over_tcp, over_tls

Said = TypeVar("Said")
GREETING_S = 1.5  # for all, at once: enough for a broker at the other end of the world


async def sniff(
    network: Network, settings: BrokerSettings, addresses: list[str], trust: Trust | None = None
) -> Speaks:
    """To addresses that were checked; what does not answer speaks nothing. With `trust`: inside TLS."""

    async def ask(greet: Callable[[Channel], Awaitable[Said]], nothing: Said) -> Said:
        try:
            async with asyncio.timeout(GREETING_S):
                channel: Channel = await over_tcp(network, addresses, settings.port)
                try:
                    if trust is not None:
                        channel = await over_tls(channel, trust)
                    return await greet(channel)
                finally:
                    channel.close()
        except (Failure, OSError, TimeoutError):
            return nothing

    async def web(channel: Channel) -> int | None:
        return await _http_status(channel, settings)

    if trust is not None:
        return Speaks(http_status=await ask(web, None))
    tls_, mqtt, status = await asyncio.gather(
        ask(_speaks_tls, False), ask(_speaks_mqtt, False), ask(web, None)
    )
    return Speaks(tls_, mqtt, status)


async def _speaks_tls(channel: Channel) -> bool:
    try:
        await tls.handshake(channel, Trust("localhost", verify=False))
    except Failure as failure:
        return failure.code not in ("tls.plaintext", "tls.closed")  # whatever else it says, it says in TLS
    return True


async def _speaks_mqtt(channel: Channel) -> bool:
    channel.send(connect(Login(f"hmq-test-{os.urandom(5).hex()}", None, None, clean=True), 10, five=False))
    return (await receive(channel)).startswith(b"\x20\x02")


async def _http_status(channel: Channel, settings: BrokerSettings) -> int | None:
    key = websocket_frames.new_key()
    channel.send(
        websocket_frames.request("localhost", settings.port, settings.path or "/mqtt", key, tls=False)
    )
    found = re.match(rb"HTTP/\d\.\d (\d{3})", await receive(channel))
    return int(found[1]) if found else None
