"""What these tests share: a replica in this process, and the service as a process that can be killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.failures import Failure
from contracts.organizations import CREATE_ORGANIZATION, PLATFORM, CreateOrganization, OrganizationIssued
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from runtime import rpc
from runtime.bus import Bus, connect
from runtime.event_log import EventLog
from runtime.kv import Bucket
from runtime.settings import ServiceSettings
from services.credentials.authentication import Authentication
from services.credentials.directory import Directory
from services.credentials.handlers import Handlers
from services.credentials.integration_handlers import IntegrationHandlers
from services.credentials.queries import Queries
from services.credentials.vault import Vault
from tests.support.service import Service

HASH_KEY, WRAPPING_KEY = b"h" * 32, b"w" * 32
ADMIN = "admin"


@dataclass
class Replica:
    """One replica of the service, without its listeners."""

    bus: Bus
    log: EventLog
    directory: Directory
    handlers: Handlers
    integrations: IntegrationHandlers
    queries: Queries
    who: Authentication
    vault: Vault
    secrets: Bucket

    async def organization(self, name: str = "Acme") -> OrganizationIssued:
        return await self.handlers.create_organization(
            CreateOrganization(organization=PLATFORM, actor=ADMIN, name=name)
        )


MakeReplica = Callable[..., AbstractAsyncContextManager[Replica]]


async def platform_bus(server: NatsServer, service: str) -> Bus:
    """A connection with exactly a service's permissions."""
    settings = ServiceSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform[service]))
    return await connect(settings, service)


@dataclass
class CredentialsService:
    """The service as a process, on a nats-server of its own."""

    nats: NatsServer
    running: Service

    @property
    def admin_key(self) -> str:
        return self.running.env["ADMIN_KEY"]

    def output(self) -> str:
        """Everything that it ever logged."""
        return self.running.process.log.read_text()


def credentials_service(nats: NatsServer, folder: Path) -> CredentialsService:
    ports = ServicePorts(0, {name: free_port() for name in SERVICES})
    secrets = Secrets(nats.config_path.parent / "secrets")
    env = environment.services(nats, DatabaseUrls("", "", ""), secrets, ports)["credentials"]
    return CredentialsService(nats, Service("credentials", env, folder / "log"))


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[Failure]]:
    """What is inside must fail with this code."""
    with pytest.raises(Failure) as caught:
        yield caught
    assert caught.value.code == code, caught.value


async def new_organization(bus: Bus, name: str = "Acme", command_id: str | None = None) -> OrganizationIssued:
    request = CreateOrganization(organization=PLATFORM, actor=ADMIN, name=name, command_id=command_id)
    return await rpc.call(bus, CREATE_ORGANIZATION, request)


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex}"
