"""The real gateway as a process, the real nats-server, and small peers that answer its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client as NatsClient

from deploy.local.nats import NatsServer
from tests.conftest import service_of
from tests.gateway.peers import KEYS, Peers, bearer, started_peers
from tests.support.clients import http_client, platform_client
from tests.support.service import Service


@pytest.fixture(scope="session")
def gateway(provisioned_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests of the worker: it holds no state but who may call, and that is the peers' to say."""
    service = service_of("gateway", provisioned_nats, log=tmp_path_factory.mktemp("gateway") / "log")
    service.start()
    yield service
    service.process.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_peers(provisioned_nats: NatsServer, gateway: Service) -> AsyncIterator[Peers]:
    # Behind the gateway: whoever keeps the loop waiting until that has started is cut off as a hung client.
    async with started_peers(provisioned_nats) as peers:
        yield peers


@pytest.fixture
def peers(running_peers: Peers) -> Peers:
    """Answers for credentials, telemetry and ingest; nothing asked yet."""
    running_peers.asked.clear()
    running_peers.answers.clear()
    return running_peers


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with http_client(gateway.url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def alpha(gateway: Service, peers: Peers) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of organization alpha, all scopes."""
    async with http_client(gateway.url, headers=bearer(KEYS.alpha)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def beta(gateway: Service, peers: Peers) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of another organization, all scopes."""
    async with http_client(gateway.url, headers=bearer(KEYS.beta)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def operator(gateway: Service, peers: Peers) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    async with http_client(gateway.url, headers=bearer(KEYS.operator)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def log_reader(provisioned_nats: NatsServer) -> AsyncIterator[NatsClient]:
    """Reads MESSAGES as telemetry may."""
    async with platform_client(provisioned_nats, "telemetry") as client:
        yield client
