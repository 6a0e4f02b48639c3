"""The connection to NATS: survives restarts of the server, notices a hung one, ends the process when it is final.

FastStream's broker holds the connection; JetStream calls go over the same one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import stamina
from faststream.nats import NatsBroker
from faststream.nats.security import NatsNKey
from nats.aio.client import Client
from pydantic import SecretStr

from runtime.observe import log
from runtime.settings import BusSettings

_log = log(part="bus")
CONNECT_PATIENCE_S = 60.0


async def heard(client: Client, timeout_s: float = 10.0) -> None:
    """Returns when the server has heard all that was subscribed before. Raises nats.errors.Error, TimeoutError.

    nats-py writes the PING of a flush ahead of what is still pending: only a second one comes behind it.
    """
    for _ in range(2):
        await client.flush(timeout=timeout_s)  # type: ignore[arg-type]


@dataclass
class Bus:
    """`client` for JetStream and plain NATS, `broker` for commands and queries (FastStream)."""

    name: str
    broker: NatsBroker
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def client(self) -> Client:
        client: Client = self.broker.connection
        return client

    async def start(self) -> None:
        """From now on what was subscribed through `broker` is served: the server has heard of it."""
        await self.broker.start()
        await heard(self.client)

    @property
    def connected(self) -> bool:
        return self.client.is_connected


def _options(name: str, closed: asyncio.Event) -> dict[str, Any]:
    async def on_error(error: Exception) -> None:
        _log.warning("nats error", error=repr(error))

    async def on_disconnect() -> None:
        _log.warning("nats disconnected")

    async def on_reconnect() -> None:
        _log.info("nats reconnected")

    async def on_close() -> None:
        closed.set()  # final (an expired JWT, a drained client): the process must end, see runtime.service

    return {
        "name": name,
        "error_cb": on_error,
        "disconnected_cb": on_disconnect,
        "reconnected_cb": on_reconnect,
        "closed_cb": on_close,
        "max_reconnect_attempts": -1,  # the default gives up after 60
        "reconnect_time_wait": 0.25,
        "connect_timeout": 2,
        "ping_interval": 2,  # a hung peer is noticed within 6 s; the default takes minutes
        "max_outstanding_pings": 2,
        "inbox_prefix": f"_INBOX.{name}",  # no other service may read it
        "pending_size": 16 * 1024 * 1024,
        "drain_timeout": 10,
    }


def tls_context(authority: Path | None) -> ssl.SSLContext | None:
    """Believes that authority and nobody else; None: no TLS."""
    if authority is None:
        return None
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _patiently() -> AsyncIterator[stamina.Attempt]:
    failures = (OSError, nats.errors.Error)
    return stamina.retry_context(on=failures, attempts=None, timeout=CONNECT_PATIENCE_S, wait_max=2.0)


async def connect(settings: BusSettings, name: str) -> Bus:
    """A connected bus; waits up to a minute for the server to come up."""
    closed = asyncio.Event()
    broker = NatsBroker(
        settings.nats_url.split(","),
        security=NatsNKey.from_seed(
            settings.nats_seed.get_secret_value(), ssl_context=tls_context(settings.platform_ca)
        ),
        logger=None,
        **_options(name, closed),
    )
    async for attempt in _patiently():
        with attempt:
            await broker.connect()
    return Bus(name, broker, closed)


async def connect_client(
    settings: BusSettings, seed: SecretStr, name: str, closed: asyncio.Event | None = None
) -> Client:
    """A plain client for another account (SYS, DEVICES), with the same habits."""
    client = Client()
    options = _options(name, closed or asyncio.Event())
    if (context := tls_context(settings.platform_ca)) is not None:
        options["tls"] = context
    async for attempt in _patiently():
        with attempt:
            await client.connect(
                settings.nats_url.split(","), nkeys_seed_str=seed.get_secret_value(), **options
            )
    return client
