"""What does a port speak? Greeted in each way over a connection of its own, without any login."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from contracts.broker_settings import BrokerSettings
from contracts.failures import Failure
from services.ingest import tls, websocket_frames
from services.ingest.channel import Channel, receive
from services.ingest.diagnosis import Speaks
from services.ingest.network import Network
from services.ingest.packets import Login, connect
from services.ingest.tls import Trust
from services.ingest.transport import over_tcp

GREETING_S = 1.5  # for all, at once: enough for a broker at the other end of the world


async def sniff(network: Network, settings: BrokerSettings, addresses: list[str]) -> Speaks:
    """To addresses that were checked; what does not answer speaks nothing."""

    async def ask(greet: Callable[[Channel], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(GREETING_S):
                channel = await over_tcp(network, addresses, settings.port)
                try:
                    return await greet(channel)
                finally:
                    channel.close()
        except (Failure, OSError, TimeoutError):
            return False

    async def web(channel: Channel) -> bool:
        return await _speaks_http(channel, settings)

    return Speaks(*await asyncio.gather(ask(_speaks_tls), ask(_speaks_mqtt), ask(web)))


async def _speaks_tls(channel: Channel) -> bool:
    try:
        await tls.handshake(channel, Trust("localhost", verify=False))
    except Failure as failure:
        return failure.code not in ("tls.plaintext", "tls.closed")  # whatever else it says, it says in TLS
    return True


async def _speaks_mqtt(channel: Channel) -> bool:
    channel.send(connect(Login(f"hmq-test-{os.urandom(5).hex()}", None, None, clean=True), 10, five=False))
    return (await receive(channel)).startswith(b"\x20\x02")


async def _speaks_http(channel: Channel, settings: BrokerSettings) -> bool:
    key = websocket_frames.new_key()
    channel.send(
        websocket_frames.request("localhost", settings.port, settings.path or "/mqtt", key, tls=False)
    )
    return (await receive(channel)).startswith(b"HTTP/")
