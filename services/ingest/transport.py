"""From a host's name to a channel that carries MQTT: TCP, TLS, WebSocket, each step by itself or all together.

Each step takes the channel of the one before, closes it where it fails, and is bounded in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from contracts.broker_settings import BrokerSettings
from contracts.failures import Unavailable
from services.ingest import tls, websocket
from services.ingest.channel import Channel, TcpChannel
from services.ingest.network import Network
from services.ingest.tls import TlsChannel, Trust
from services.ingest.websocket import WebSocketChannel

TLS_S = 5.0
WEBSOCKET_S = 5.0

Opened = TypeVar("Opened", bound=Channel)


def trust(settings: BrokerSettings, secrets: Mapping[str, str]) -> Trust | None:
    """What these settings make TLS with; None where they want none. `secrets` by field name."""
    if settings.tls is None:
        return None
    return Trust(
        server_name=settings.server_name,
        ca=settings.tls.ca,
        certificate=settings.tls.client_certificate,
        key=secrets.get("client_key"),
        alpn=settings.alpn,
        verify=settings.tls.verify,
    )


async def over_tcp(network: Network, addresses: list[str], port: int) -> TcpChannel:
    """To addresses that were checked. Raises Unavailable("broker.unreachable")."""
    return TcpChannel(await network.connect(addresses, port))


async def over_tls(lower: Channel, trust: Trust) -> TlsChannel:
    """`seen()` of what it returns tells versions and certificates. Raises as `tls.handshake` does."""
    return await _bounded(lower, tls.handshake(lower, trust), TLS_S, "the TLS greeting")


async def over_websocket(lower: Channel, settings: BrokerSettings) -> WebSocketChannel:
    """`upgraded` of what it returns tells the answer. Raises as `websocket.upgrade` does."""
    opening = websocket.upgrade(
        lower,
        host=settings.host,
        port=settings.port,
        path=settings.path or "/",
        tls=settings.tls is not None,
    )
    return await _bounded(lower, opening, WEBSOCKET_S, "the request for a WebSocket")


async def dial(
    network: Network, settings: BrokerSettings, secrets: Mapping[str, str], addresses: list[str] | None = None
) -> Channel:
    """All steps; without `addresses` the name is resolved and checked first. Raises what the steps raise."""
    if addresses is None:
        addresses = await network.resolve(settings.host, settings.port)
        network.check(settings.host, addresses)
    channel: Channel = await over_tcp(network, addresses, settings.port)
    if (wanted := trust(settings, secrets)) is not None:
        channel = await over_tls(channel, wanted)
    if settings.websocket:
        channel = await over_websocket(channel, settings)
    return channel


async def _bounded(lower: Channel, step: Awaitable[Opened], limit_s: float, what: str) -> Opened:
    try:
        async with asyncio.timeout(limit_s):
            return await step
    except TimeoutError as error:
        lower.close()
        raise Unavailable("broker.timeout", f"no answer to {what} within {limit_s:g} s") from error
    except BaseException:
        lower.close()
        raise
