"""Clients of a test's servers, with the identities that the services have."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import httpx
import nats
from nats.aio.client import Client as NatsClient

from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.ports import LOOPBACK

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""`verify` of HTTP clients of loopback: else each of them reads the machine's authorities, 25 ms of CPU."""


def http_client(url: str | httpx.URL, **options: Any) -> httpx.AsyncClient:
    """A client of a gateway or another listener on loopback."""
    return httpx.AsyncClient(base_url=url, verify=NO_TLS, **{"timeout": 20, **options})


@asynccontextmanager
async def platform_client(server: NatsServer, service: str) -> AsyncIterator[NatsClient]:
    """A NATS client with exactly the permissions of a service (or of `provision`)."""
    client = await nats.connect(
        server.url,
        nkeys_seed_str=server.seeds.platform[service],
        inbox_prefix=f"_INBOX.{service}".encode(),
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def devices_client(server: NatsServer, user: str = "ingest") -> AsyncIterator[NatsClient]:
    """A NATS client in the device account."""
    client = await nats.connect(server.url, nkeys_seed_str=server.seeds.devices[user])
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def sys_client(server: NatsServer, user: str = "credentials") -> AsyncIterator[NatsClient]:
    """A NATS client in the system account."""
    client = await nats.connect(
        server.url, nkeys_seed_str=server.seeds.sys[user], inbox_prefix=f"_INBOX.{user}".encode()
    )
    try:
        yield client
    finally:
        await client.close()


def mqtt_client(port: int, username: str | None, password: str | None, **options: Any) -> aiomqtt.Client:
    """An MQTT 3.1.1 client on loopback, unless `options` say otherwise; enter it to connect."""
    return aiomqtt.Client(
        LOOPBACK,
        port,
        username=username,
        password=password,
        **{"protocol": aiomqtt.ProtocolVersion.V311, "timeout": 10, **options},
    )


def platform_mqtt_client(server: NatsServer, **options: Any) -> aiomqtt.Client:
    """The platform's own MQTT client of the device account; needs no answer of the callout."""
    return mqtt_client(server.ports.mqtt, DEVICES_MQTT_USER, server.seeds.mqtt_password, **options)
