"""The credentials service: as parts in this process, and as a process that can be killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from contracts.organizations import OrganizationIssued
from contracts.streams import IDEMPOTENCY_BUCKET, REGISTRY, SECRETS_BUCKET
from deploy.local.nats import NatsServer
from runtime.bus import Bus
from runtime.event_log import EventLog
from runtime.kv import Bucket
from services.credentials.authentication import Authentication
from services.credentials.commands import Commands
from services.credentials.credential_handlers import CredentialHandlers
from services.credentials.directory import Directory
from services.credentials.handlers import Handlers, Registry
from services.credentials.hashing import Hashing
from services.credentials.integration_handlers import IntegrationHandlers
from services.credentials.last_use import LastUse
from services.credentials.plans import Plans
from services.credentials.queries import Queries
from services.credentials.sealing import Sealing
from services.credentials.vault import Vault
from tests.credentials.parts import (
    HASH_KEY,
    WRAPPING_KEY,
    CredentialsService,
    MakeReplica,
    Replica,
    credentials_service,
    new_organization,
    platform_bus,
)


@pytest.fixture
def make_replica(provisioned_nats: NatsServer) -> MakeReplica:
    """Starts a replica; `log` may stand in for its event log, to die at a chosen moment."""

    @asynccontextmanager
    async def make(log: type[EventLog] = EventLog) -> AsyncIterator[Replica]:
        bus = await platform_bus(provisioned_nats, "credentials")
        directory = Directory(bus.client)
        following = asyncio.create_task(directory.follow())
        hashing, sealing = Hashing(HASH_KEY), Sealing(WRAPPING_KEY)
        event_log = log(bus.client, REGISTRY.name)
        secrets = Bucket(bus.client, SECRETS_BUCKET)
        vault = Vault(secrets, sealing)
        plans = Plans(Bucket(bus.client, IDEMPOTENCY_BUCKET), sealing, hashing)
        commands, registry = Commands(event_log, directory, plans), Registry(event_log, directory)
        last_use = LastUse(bus.client)
        try:
            await directory.started(timeout_s=10)
            yield Replica(
                bus,
                event_log,
                directory,
                Handlers(commands, registry, hashing),
                IntegrationHandlers(commands, registry, vault),
                Queries(directory, last_use),
                Authentication(directory, hashing, SecretStr("hmq_admin_none"), last_use),
                vault,
                secrets,
                CredentialHandlers(commands, registry, hashing, last_use),
            )
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await bus.broker.stop()

    return make


@pytest.fixture
async def replica(make_replica: MakeReplica) -> AsyncIterator[Replica]:
    async with make_replica() as started:
        yield started


@pytest.fixture(scope="module")
def service(own_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CredentialsService]:
    """Running and ready; a test that kills it starts it again."""
    held = credentials_service(own_nats, tmp_path_factory.mktemp("credentials"))
    held.running.start()
    yield held
    held.running.process.stop()


@pytest.fixture
async def gateway(service: CredentialsService) -> AsyncIterator[Bus]:
    """A caller with the gateway's permissions."""
    bus = await platform_bus(service.nats, "gateway")
    yield bus
    await bus.broker.stop()


@pytest.fixture
async def organization(gateway: Bus) -> OrganizationIssued:
    return await new_organization(gateway)
