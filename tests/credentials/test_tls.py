"""Devices that come by TLS: through the relay with a password or a certificate, and at the server's own port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttError

from contracts.certificates import (
    BIND_CERTIFICATE,
    UNBIND_CERTIFICATE,
    BindCertificate,
    UnbindCertificate,
)
from contracts.credentials import CredentialView, CredentialWithPassword
from contracts.organizations import OrganizationIssued
from contracts.tls_ticket import Ticket, seal
from deploy.local import environment
from deploy.local.environment import Secured
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.secrets import Secrets
from deploy.local.tls import TlsFiles, tls_files
from runtime import rpc
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    activity,
    assert_refused,
    device_client,
    new_device,
    new_organization,
    refused,
    revoke,
)
from tests.support.clients import mqtt_client
from tests.support.device_certificates import DeviceCertificate, device_certificate
from tests.support.eventually import eventually
from tests.support.mqtt_wire import packet, text
from tests.support.service import Service


@dataclass
class Relay:
    secured: Secured
    secrets: Path
    running: Service

    def trusting(self) -> ssl.SSLContext:
        """For a client without a certificate."""
        return ssl.create_default_context(cafile=self.secured.tls.authority)

    def client(
        self,
        device: CredentialWithPassword | None,
        certificate: DeviceCertificate | None = None,
        **options: Any,
    ) -> aiomqtt.Client:
        """With a password and no certificate, or with a certificate and no password."""
        options = {"identifier": device.client_id if device else "x", **options}
        context = certificate.context() if certificate else self.trusting()
        username = options.pop("username", device.username if device else None)
        password = options.pop("password", device.password if device and not certificate else None)
        return mqtt_client(self.secured.mqtts, username, password, tls_context=context, **options)


@pytest.fixture(scope="module")
def relay(service: CredentialsService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("relay")
    files: TlsFiles = tls_files(folder / "secrets", {})
    secured = Secured(files, free_port(), free_port(), free_port())
    secrets = Secrets(service.nats.config_path.parent / "secrets")
    running = Service("relay", environment.relay(service.nats, secrets, secured), folder / "log")
    running.start()
    yield Relay(secured, folder / "secrets", running)
    running.process.stop()


@pytest.fixture
def certificate(relay: Relay, tmp_path: Path) -> DeviceCertificate:
    return device_certificate(tmp_path, relay.secrets, "device-7")


async def bind(
    bus: Bus, organization: OrganizationIssued, device: CredentialWithPassword, **what: str
) -> CredentialView:
    request = BindCertificate(organization=organization.id, actor="key:k", id=device.id, **what)
    return await rpc.call(bus, BIND_CERTIFICATE, request)


async def newest_reason(service: CredentialsService, organization: str) -> str | None:
    async def newest() -> str | None:
        found = await activity(service, organization, "device.refused")
        return found[-1][1].reason if found else None

    return await eventually(newest)


async def assert_not_let_in(client: aiomqtt.Client) -> None:
    """By the broker, or by TLS before it."""
    with pytest.raises((MqttError, ssl.SSLError, OSError)):
        await client.__aenter__()


async def assert_ends_in_the_handshake(relay: Relay, certificate: DeviceCertificate) -> None:
    """In TLS 1.3 a client has ended its part before the relay has looked: then it hears nothing, not even a CONNACK."""
    reader, writer = await asyncio.open_connection(
        LOOPBACK, relay.secured.mqtts, ssl=certificate.context(), server_hostname=LOOPBACK
    )
    writer.write(packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text("x")))
    try:
        heard = await asyncio.wait_for(reader.read(1), 30)
    except (ssl.SSLError, ConnectionError):
        heard = b""
    assert heard == b""
    writer.close()


@pytest.mark.parametrize("websocket", [False, True], ids=["mqtts", "wss"])
async def test_a_device_comes_by_tls_with_its_password(
    relay: Relay, service: CredentialsService, gateway: Bus, organization: OrganizationIssued, websocket: bool
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    port = relay.secured.wss if websocket else relay.secured.mqtts
    options = {"transport": "websockets", "websocket_path": "/mqtt"} if websocket else {}
    async with mqtt_client(
        port,
        device.username,
        device.password,
        identifier=device.client_id,
        tls_context=relay.trusting(),
        **options,
    ) as client:
        await client.subscribe(f"{organization.id}/commands/d1/#", qos=1)
        await client.publish(f"{organization.id}/devices/d1/data", b"x" * 200_000, qos=1)


async def test_a_wrong_password_by_tls_is_refused_and_the_devices_address_is_told(
    relay: Relay, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization)
    await assert_refused(relay.client(device, password="wrong"))
    assert await newest_reason(service, organization.id) == "connect.unknown"
    [(_, event)] = await activity(service, organization.id, "device.refused")
    assert event.details["address"] == "127.0.0.1"
    assert "wrong" not in service.output()


@pytest.mark.parametrize("way", ["pem", "fingerprint", "subject"])
async def test_the_bound_certificate_stands_in_the_passwords_place(
    relay: Relay,
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    certificate: DeviceCertificate,
    way: str,
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    colons = ":".join(f"{byte:02X}" for byte in bytes.fromhex(certificate.fingerprint))
    given = {"pem": certificate.pem, "fingerprint": colons, "subject": "CN=device-7"}[way]

    bound = await bind(gateway, organization, device, **{way: given})

    assert bound.certificate is not None
    assert (bound.certificate.fingerprint or bound.certificate.subject) in (
        certificate.fingerprint,
        "CN=device-7",
    )
    for username in (device.username, None):  # the client id says who it is, too
        async with relay.client(device, certificate, username=username) as client:
            await client.publish(f"{organization.id}/devices/d1/data", b"1", qos=1)


async def test_another_certificate_or_none_is_refused(
    relay: Relay,
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    certificate: DeviceCertificate,
    tmp_path: Path,
) -> None:
    device = await new_device(gateway, organization)
    await bind(gateway, organization, device, pem=certificate.pem)
    other = device_certificate(tmp_path / "other", relay.secrets, "device-7")
    await assert_refused(relay.client(device, other))
    assert await newest_reason(service, organization.id) == "connect.certificate"
    await assert_refused(relay.client(device, password=""))
    await assert_refused(device_client(service, device, password=""))


async def test_a_certificate_of_a_stranger_or_of_the_past_ends_in_the_handshake(
    relay: Relay, gateway: Bus, organization: OrganizationIssued, tmp_path: Path
) -> None:
    device = await new_device(gateway, organization)
    tls_files(tmp_path / "strange", {})
    strange = device_certificate(tmp_path, tmp_path / "strange", "device-7")
    strange = DeviceCertificate(relay.secrets / "tls-ca.pem", strange.path, strange.key)
    over = device_certificate(tmp_path / "over", relay.secrets, "device-8", lasts=timedelta(days=-1))
    await bind(gateway, organization, device, pem=strange.pem)
    await assert_ends_in_the_handshake(relay, strange)
    await bind(gateway, organization, device, fingerprint=over.fingerprint)
    await assert_ends_in_the_handshake(relay, over)


async def test_a_session_ends_with_its_certificate(
    relay: Relay, gateway: Bus, organization: OrganizationIssued, tmp_path: Path
) -> None:
    device = await new_device(gateway, organization)
    short = device_certificate(tmp_path, relay.secrets, "device-9", lasts=timedelta(seconds=4))
    await bind(gateway, organization, device, pem=short.pem)
    session = relay.client(device, short)
    await session.__aenter__()
    with pytest.raises(MqttError):
        await asyncio.wait_for(anext(session.messages), 10)
    await assert_ends_in_the_handshake(relay, short)


async def test_another_organization_may_bind_the_same_certificate_and_takes_nothing_by_it(
    relay: Relay,
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    certificate: DeviceCertificate,
) -> None:
    device = await new_device(gateway, organization)
    stranger = await new_organization(gateway, "Stranger")
    copy = await new_device(gateway, stranger)
    await bind(gateway, stranger, copy, pem=certificate.pem)
    await assert_refused(relay.client(device, certificate))  # bound to theirs, not to ours
    await bind(gateway, organization, device, pem=certificate.pem)
    async with relay.client(device, certificate, username=None):
        pass
    with refused("not_found"):
        await bind(gateway, stranger, device, pem=certificate.pem)


async def test_the_session_of_a_certificate_ends_when_it_is_unbound_and_a_revoked_credential_stays_out(
    relay: Relay,
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    certificate: DeviceCertificate,
) -> None:
    device = await new_device(gateway, organization)
    await bind(gateway, organization, device, pem=certificate.pem)
    unbinding = UnbindCertificate(organization=organization.id, actor="key:k", id=device.id)
    session = relay.client(device, certificate)
    await session.__aenter__()
    await rpc.call(gateway, UNBIND_CERTIFICATE, unbinding)
    with pytest.raises(MqttError):
        await asyncio.wait_for(anext(session.messages), 5)
    await assert_refused(relay.client(device, certificate))
    await rpc.call(gateway, UNBIND_CERTIFICATE, unbinding)  # asking twice is harmless
    await bind(gateway, organization, device, pem=certificate.pem)
    await revoke(gateway, organization, device)
    await assert_refused(relay.client(device, certificate))

    async def told() -> bool:
        return await newest_reason(service, organization.id) == "connect.revoked"

    await eventually(told)
    with refused("credential.revoked"):
        await bind(gateway, organization, device, pem=certificate.pem)


@pytest.mark.parametrize(
    "what",
    [
        {"pem": "no certificate"},
        {"pem": "-----BEGIN PRIVATE KEY-----"},
        {"fingerprint": "abc"},
        {"subject": "no name"},
        {"subject": ""},
    ],
)
async def test_what_is_no_certificate_is_refused(
    gateway: Bus, organization: OrganizationIssued, what: dict[str, str]
) -> None:
    device = await new_device(gateway, organization)
    with refused("certificate.invalid"):
        await bind(gateway, organization, device, **what)


async def test_a_ticket_that_no_relay_sealed_is_a_wrong_password(
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    certificate: DeviceCertificate,
) -> None:
    device = await new_device(gateway, organization)
    await bind(gateway, organization, device, pem=certificate.pem)
    forged = seal(b"g" * 32, Ticket("203.0.113.7", None, certificate.fingerprint, "CN=device-7"), 2e9)
    await assert_refused(device_client(service, device, password=forged))
    [(_, event)] = await eventually(lambda: activity(service, organization.id, "device.refused"))
    assert event.details["address"] == "127.0.0.1"


async def test_what_is_no_connect_is_ended_and_others_go_on(relay: Relay) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, relay.secured.mqtts, ssl=relay.trusting())
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    old = ssl.create_default_context(cafile=relay.secured.tls.authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection(LOOPBACK, relay.secured.mqtts, ssl=old)
