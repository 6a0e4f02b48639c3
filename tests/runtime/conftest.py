"""Buses of a test's nats-server, connected as the services connect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from deploy.local.nats import NatsServer
from runtime.bus import Bus, connect
from runtime.settings import BusSettings


@asynccontextmanager
async def bus_of(server: NatsServer, service: str) -> AsyncIterator[Bus]:
    settings = BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform[service]))
    bus = await connect(settings, service)
    try:
        yield bus
    finally:
        await bus.broker.stop()


@pytest.fixture
async def credentials_bus(provisioned_nats: NatsServer) -> AsyncIterator[Bus]:
    async with bus_of(provisioned_nats, "credentials") as bus:
        yield bus


@pytest.fixture
async def gateway_bus(provisioned_nats: NatsServer) -> AsyncIterator[Bus]:
    async with bus_of(provisioned_nats, "gateway") as bus:
        yield bus


@pytest.fixture
async def ingest_bus(provisioned_nats: NatsServer) -> AsyncIterator[Bus]:
    async with bus_of(provisioned_nats, "ingest") as bus:
        yield bus


@pytest.fixture
async def telemetry_bus(provisioned_nats: NatsServer) -> AsyncIterator[Bus]:
    async with bus_of(provisioned_nats, "telemetry") as bus:
        yield bus
