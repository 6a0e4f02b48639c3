"""What these tests share: a replica in this process, and the service as a process that can be killed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttConnectError
from pydantic import SecretStr

from contracts import subjects, upcasts
from contracts.activity import ActivityRecorded
from contracts.credentials import (
    ISSUE_CREDENTIAL,
    REVOKE_CREDENTIAL,
    CredentialWithPassword,
    IssueCredential,
    RevokeCredential,
)
from contracts.envelope import Recorded
from contracts.failures import Failure
from contracts.organizations import CREATE_ORGANIZATION, PLATFORM, CreateOrganization, OrganizationIssued
from contracts.streams import ACTIVITY
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from runtime import jetstream, rpc
from runtime.bus import Bus, connect
from runtime.event_log import EventLog
from runtime.kv import Bucket
from runtime.pull import Entry, Pull
from runtime.settings import ServiceSettings
from services.credentials.authentication import Authentication
from services.credentials.credential_handlers import CredentialHandlers
from services.credentials.directory import Directory
from services.credentials.handlers import Handlers
from services.credentials.integration_handlers import IntegrationHandlers
from services.credentials.queries import Queries
from services.credentials.vault import Vault
from tests.support.clients import mqtt_client
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
    lifecycle: CredentialHandlers

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

    @property
    def key_encryption_key(self) -> str:
        return Path(self.running.env["KEY_ENCRYPTION_KEY_FILE"]).read_text()

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


async def new_device(bus: Bus, organization: OrganizationIssued, **fields: Any) -> CredentialWithPassword:
    """A credential of this organization."""
    request = IssueCredential(organization=organization.id, actor="key:k", **fields)
    return await rpc.call(bus, ISSUE_CREDENTIAL, request)


async def revoke(bus: Bus, organization: OrganizationIssued, device: CredentialWithPassword) -> None:
    request = RevokeCredential(organization=organization.id, actor="key:k", id=device.id, reason="lost")
    await rpc.call(bus, REVOKE_CREDENTIAL, request)


def device_client(
    service: CredentialsService,
    device: CredentialWithPassword,
    *,
    websocket: bool = False,
    client_id: str | None = None,
    password: str | None = None,
    **options: Any,
) -> aiomqtt.Client:
    """A client with this credential; enter it to connect."""
    if websocket:
        options |= {"transport": "websockets", "websocket_path": "/mqtt"}
    ports = service.nats.ports
    return mqtt_client(
        ports.websocket if websocket else ports.mqtt,
        device.username,
        device.password if password is None else password,
        identifier=device.client_id if client_id is None else client_id,
        **options,
    )


async def assert_refused(client: aiomqtt.Client) -> None:
    """The broker does not let this client in."""
    with pytest.raises(MqttConnectError):
        await client.__aenter__()


async def vanish_with_will(
    service: CredentialsService, device: CredentialWithPassword, suffix: str, topic: str, payload: bytes
) -> None:
    """Connects with a retained QoS 1 will, and is cut off without a DISCONNECT."""
    reader, writer = await asyncio.open_connection(LOOPBACK, service.nats.ports.mqtt)
    fields = [device.client_id + suffix, topic, payload.decode(), device.username, device.password]
    flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02  # user, password, retained will of QoS 1, clean session
    body = b"\0\4MQTT\4" + bytes([flags]) + b"\0\x3c"
    body += b"".join(len(field).to_bytes(2, "big") + field.encode() for field in fields)
    size, rest = len(body) % 128, len(body) // 128
    writer.write(bytes([0x10, size | 0x80, rest]) + body)
    assert await reader.readexactly(4) == b"\x20\x02\0\0"
    writer.transport.abort()


async def entries(nats: NatsServer, user: str, stream: str, filter: str = "") -> list[Entry]:
    """Everything that a stream holds now, read by a service that may."""
    bus = await platform_bus(nats, user)
    try:
        last = (await jetstream.stream_state(bus.client, stream)).last
        pull = Pull(bus.client, stream, start=1, filters=[filter] if filter else [])
        found: list[Entry] = []
        while not found or found[-1].sequence < last:
            batch = await pull.next_batch(1000, timeout_s=0.3)
            if not batch:
                break
            found += batch
        await pull.close()
        return found
    finally:
        await bus.broker.stop()


async def activity(
    service: CredentialsService, organization: str, kind: str
) -> list[tuple[Recorded, ActivityRecorded]]:
    """The organization's activity of this kind so far."""
    found = []
    filter = subjects.activity(organization, kind)
    for entry in await entries(service.nats, "telemetry", ACTIVITY.name, filter):
        recorded = upcasts.decode(entry.headers or {}, entry.data)
        assert recorded is not None
        assert isinstance(recorded.event, ActivityRecorded)
        found.append((recorded, recorded.event))
    return found


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex}"
