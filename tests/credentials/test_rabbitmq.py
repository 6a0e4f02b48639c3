"""A real RabbitMQ whose MQTT plugin asks the credentials service over HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttError

from contracts.credentials import CredentialWithPassword
from contracts.organizations import OrganizationIssued
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK, free_port
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    activity,
    assert_refused,
    credentials_service,
    new_device,
    new_organization,
    revoke,
)
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.rabbitmq import RabbitMq, find_rabbitmq
from tests.support.service import Service

pytestmark = pytest.mark.skipif(
    find_rabbitmq() is None, reason="RabbitMQ is not installed: run tests/support/install.sh as root"
)
TOKEN = secrets.token_hex(32)


@pytest.fixture(scope="module")
def service(own_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CredentialsService]:
    """Asked by HTTP, too."""
    folder = tmp_path_factory.mktemp("credentials")
    held = credentials_service(own_nats, folder)
    env = {**held.running.env, "HTTP_AUTH_PORT": str(free_port()), "HTTP_AUTH_TOKEN": TOKEN}
    held.running = Service("credentials", env, folder / "log")
    held.running.start()
    yield held
    held.running.process.stop()


@pytest.fixture(scope="module")
def rabbitmq(service: CredentialsService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    port = service.running.env["HTTP_AUTH_PORT"]
    broker = RabbitMq(tmp_path_factory.mktemp("rabbitmq"), f"http://{LOOPBACK}:{port}/rabbitmq/{TOKEN}")
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def client(rabbitmq: RabbitMq, device: CredentialWithPassword, **options: Any) -> aiomqtt.Client:
    options = {"identifier": device.client_id, **options}
    return mqtt_client(rabbitmq.port, device.username, options.pop("password", device.password), **options)


async def last_reason(service: CredentialsService, organization: str) -> str | None:
    async def newest() -> str | None:
        found = await activity(service, organization, "device.refused")
        return found[-1][1].reason if found else None

    return await eventually(newest)


async def assert_ended(held: aiomqtt.Client) -> None:
    """RabbitMQ ends the connection of who does what it may not."""
    with pytest.raises(MqttError):
        await asyncio.wait_for(anext(held.messages), 10)


async def test_a_device_with_the_right_password_publishes_and_gets_its_commands(
    rabbitmq: RabbitMq, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    application = await new_device(
        gateway, organization, publish=["commands/#"], subscribe=["devices/+/telemetry"]
    )
    async with client(rabbitmq, application) as reader, client(rabbitmq, device) as held:
        await reader.subscribe(f"{organization.id}/devices/+/telemetry", qos=1)
        await held.subscribe(f"{organization.id}/commands/d1/#", qos=1)
        await held.publish(f"{organization.id}/devices/d1/telemetry", b"21.5", qos=1)
        message = await asyncio.wait_for(anext(reader.messages), 10)
        assert (str(message.topic), message.payload) == (f"{organization.id}/devices/d1/telemetry", b"21.5")
        await reader.publish(f"{organization.id}/commands/d1/go", b"now", qos=1)
        assert (await asyncio.wait_for(anext(held.messages), 10)).payload == b"now"


async def test_a_wrong_password_and_another_client_id_are_refused(
    rabbitmq: RabbitMq, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    await assert_refused(client(rabbitmq, device, password=mint("dev")))
    assert await last_reason(service, organization.id) == "connect.unknown"
    await assert_refused(client(rabbitmq, device, identifier="somebody-else"))
    await assert_refused(mqtt_client(rabbitmq.port, None, None, identifier="nobody"))


async def test_another_tenants_topics_are_refused(
    rabbitmq: RabbitMq, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    other = await new_organization(gateway, "Other")
    held = client(rabbitmq, device)
    await held.__aenter__()
    await held.publish(f"{other.id}/devices/d1/telemetry", b"1", qos=0)
    await assert_ended(held)
    assert await last_reason(service, organization.id) == "topic.forbidden"
    for filter in (f"{other.id}/commands/d1/#", "#", "+/devices/#"):
        async with client(rabbitmq, device) as listening:
            with pytest.raises(MqttError):  # it ends the connection
                await listening.subscribe(filter, qos=1, timeout=2)


async def test_a_revoked_credential_stays_out(
    rabbitmq: RabbitMq, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    async with client(rabbitmq, device):
        pass
    await revoke(gateway, organization, device)
    await assert_refused(client(rabbitmq, device))
    assert await last_reason(service, organization.id) == "connect.revoked"
    for secret in (device.password, TOKEN):
        assert secret not in service.output()
