"""The real gateway as a process, the real nats-server, and small peers that answer its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from deploy.local.nats import NatsServer
from tests.gateway.peers import Peers, started_peers
from tests.support.service import Service


@pytest.fixture(scope="module")
def gateway(provisioned_nats: NatsServer, run_service: Callable[..., Service]) -> Service:
    return run_service("gateway", provisioned_nats)


@pytest.fixture
async def peers(provisioned_nats: NatsServer) -> AsyncIterator[Peers]:
    """Answers for credentials, telemetry and ingest in this test."""
    async with started_peers(provisioned_nats) as peers:
        yield peers


@pytest.fixture
async def http(gateway: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as client:
        yield client
