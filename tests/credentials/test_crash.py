"""kill -9 of the service at any moment, and secrets that stay out of every log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from contracts.credentials import (
    AUTHENTICATE_DEVICE,
    ISSUE_CREDENTIAL,
    LIST_CREDENTIALS,
    AuthenticateDevice,
    CredentialWithPassword,
    IssueCredential,
    ListCredentials,
)
from contracts.failures import Unavailable
from contracts.integrations import CREATE_INTEGRATION, CreateIntegration
from contracts.organizations import AUTHENTICATE, Authenticate, OrganizationIssued
from contracts.secrets_format import mint
from contracts.streams import ACTIVITY, IDEMPOTENCY, REGISTRY, SECRETS
from runtime import rpc
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    assert_refused,
    device_client,
    entries,
    new_device,
    refused,
    unique,
)

ISSUED = 60
KILLS = 3


async def issue_until_answered(bus: Bus, request: IssueCredential) -> CredentialWithPassword:
    """As a caller with an Idempotency-Key does it."""
    while True:
        with suppress(Unavailable):
            return await rpc.call(bus, ISSUE_CREDENTIAL, request)
        await asyncio.sleep(0.05)


async def test_killed_at_random_every_command_is_carried_out_once(
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    record_property: Callable[[str, object], None],
) -> None:
    seed = random.randrange(2**32)
    record_property("seed", seed)
    moments = random.Random(seed)
    requests = [
        IssueCredential(
            organization=organization.id, actor="key:k", device_id=f"d{number}", command_id=unique("c")
        )
        for number in range(ISSUED)
    ]
    answers: dict[str, CredentialWithPassword] = {}

    async def worker(mine: list[IssueCredential]) -> None:
        for request in mine:
            answer = await issue_until_answered(gateway, request)
            answers[str(request.command_id)] = answer
            await asyncio.sleep(0.05)

    working = asyncio.gather(*(worker(requests[start::4]) for start in range(4)))
    for _ in range(KILLS):
        await asyncio.sleep(moments.uniform(0.05, 0.3))
        service.running.process.kill()
        await asyncio.to_thread(service.running.start)
    await working

    again = [await issue_until_answered(gateway, request) for request in requests]
    assert again == [answers[str(request.command_id)] for request in requests]
    page = await rpc.call(
        gateway, LIST_CREDENTIALS, ListCredentials(organization=organization.id, actor="k", limit=1000)
    )
    assert sorted(item.id for item in page.items) == sorted(answer.id for answer in again)
    assert len({answer.device_id for answer in again}) == ISSUED
    login = AuthenticateDevice(username=again[-1].username, password=again[-1].password)
    await rpc.call(gateway, AUTHENTICATE_DEVICE, login)
    async with device_client(service, again[-1]):
        pass


async def test_no_secret_is_in_any_stream_or_log(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, command_id=unique("c"))
    request = CreateIntegration.model_validate(
        {
            "organization": organization.id,
            "actor": "key:k",
            "name": "Plant",
            "settings": {"host": "broker.example", "username": "u"},
            "secrets": {"password": "correct horse battery staple"},
            "command_id": "my own idempotency key",
        }
    )
    await rpc.call(gateway, CREATE_INTEGRATION, request)
    await rpc.call(gateway, AUTHENTICATE, Authenticate(secret=service.admin_key))
    with refused("key.invalid"):
        await rpc.call(gateway, AUTHENTICATE, Authenticate(secret=device.password))
    async with device_client(service, device):
        pass
    await assert_refused(device_client(service, device, client_id=device.password[:40]))

    secrets = [
        device.password,
        organization.api_key.secret,
        service.admin_key,
        "correct horse battery staple",
        "my own idempotency key",
        service.running.env["SECRET_HASH_KEY"],
        service.key_encryption_key,
        service.running.env["CALLOUT_ISSUER_SEED"],
        service.running.env["NATS_SEED"],
    ]
    held = {"service log": service.output().encode(), "nats log": service.nats.process.log.read_bytes()}
    for user, stream in (
        ("credentials", REGISTRY),
        ("telemetry", ACTIVITY),
        ("credentials", SECRETS),
        ("credentials", IDEMPOTENCY),
    ):
        stored = await entries(service.nats, user, stream.name)
        assert stored, stream.name
        held[stream.name] = b"\n".join(
            b"|".join((entry.subject.encode(), repr(entry.headers).encode(), entry.data)) for entry in stored
        )
    for where, content in held.items():
        for secret in secrets:
            assert secret.encode() not in content, f"{secret[:12]}… is in {where}"
    assert device.hint.encode() in held[REGISTRY.name]  # the scan does see what is there


@pytest.mark.parametrize("wrong", ["hash", "form"])
async def test_a_wrong_admin_key_is_refused(service: CredentialsService, gateway: Bus, wrong: str) -> None:
    secret = mint("admin") if wrong == "hash" else service.admin_key[:-1]
    with refused("key.invalid"):
        await rpc.call(gateway, AUTHENTICATE, Authenticate(secret=secret))
