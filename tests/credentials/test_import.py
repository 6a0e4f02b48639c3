"""Pairs of user name and password that devices have already: argon2id in the log, verified once each."""

from __future__ import annotations

import asyncio
import time

from contracts import subjects
from contracts.credentials import CredentialWithPassword
from contracts.credentials_bulk import ISSUE_CREDENTIALS, CredentialsIssued, CredentialWish, IssueCredentials
from contracts.organizations import OrganizationIssued
from contracts.streams import REGISTRY
from runtime import rpc
from runtime.bus import Bus
from services.credentials.chosen import ChosenPasswords
from services.credentials.hashing import Hashing
from tests.credentials.parts import (
    HASH_KEY,
    CredentialsService,
    assert_refused,
    device_client,
    entries,
    new_organization,
)

PASSWORD = "hunter2-hunter2"


async def bring(bus: Bus, organization: OrganizationIssued, *names: str) -> CredentialsIssued:
    wishes = [CredentialWish.model_validate({"username": name, "password": PASSWORD}) for name in names]
    request = IssueCredentials(organization=organization.id, actor="key:k", wishes=tuple(wishes))
    return await rpc.call(bus, ISSUE_CREDENTIALS, request)


async def one(bus: Bus, organization: OrganizationIssued, name: str) -> CredentialWithPassword:
    [outcome] = (await bring(bus, organization, name)).outcomes
    assert outcome.credential is not None
    return outcome.credential


async def test_an_imported_pair_connects_and_publishes(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await one(gateway, organization, "pump-1")
    assert device.username == f"{organization.id}:pump-1"
    assert device.id.startswith("cred_")
    async with device_client(service, device) as client:
        await client.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)
    await assert_refused(device_client(service, device, password="hunter2-hunter3"))
    await assert_refused(device_client(service, device, password=""))
    await assert_refused(device_client(service, device, client_id="elsewhere"))


async def test_the_log_holds_no_password(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await one(gateway, organization, "pump-1")
    subject = subjects.registry(organization.id, "credential", device.id)
    [entry] = await entries(service.nats, "credentials", REGISTRY.name, subject)
    assert PASSWORD.encode() not in entry.data
    assert b"argon2id" in entry.data
    assert PASSWORD not in service.output()


async def test_a_name_is_taken_within_its_organization_only(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    first, second = (await bring(gateway, organization, "a", "a")).outcomes
    assert first.credential is not None
    assert second.failure is not None
    assert second.failure["code"] == "name.taken"
    [again] = (await bring(gateway, organization, "a")).outcomes
    assert again.failure is not None
    other = await new_organization(gateway, "Other")
    assert (await one(gateway, other, "a")).username == f"{other.id}:a"


async def test_a_reconnect_storm_verifies_each_once() -> None:
    chosen = ChosenPasswords(Hashing(HASH_KEY))
    verifier = await chosen.verifier(PASSWORD)
    assert chosen.known(PASSWORD, verifier) is None
    verified = 0
    verify = chosen._verify

    def counted(password: str, verifier: str) -> bool:
        nonlocal verified
        verified += 1
        return verify(password, verifier)

    chosen._verify = counted  # type: ignore[method-assign]
    await asyncio.gather(*(chosen.find_out(PASSWORD, verifier) for _ in range(1000)))
    await chosen.find_out("wrong", verifier)
    assert verified == 2
    began = time.perf_counter()
    for _ in range(10_000):
        assert chosen.known(PASSWORD, verifier) is True
    assert time.perf_counter() - began < 1
    assert chosen.known("wrong", verifier) is False
