"""The life of a credential on the real broker: another secret, other filters, its time over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import pytest

from contracts.credentials import (
    CHANGE_ACL,
    CHANGE_EXPIRY,
    CHECK_ACL,
    GET_CREDENTIAL,
    RENAME_CREDENTIAL,
    ROTATE_CREDENTIAL,
    AclAnswer,
    ChangeAcl,
    ChangeExpiry,
    CheckAcl,
    CredentialView,
    CredentialWithPassword,
    GetCredential,
    RenameCredential,
    RotateCredential,
)
from contracts.organizations import (
    AUTHENTICATE,
    GET_API_KEY,
    ISSUE_API_KEY,
    Authenticate,
    GetApiKey,
    IssueApiKey,
    OrganizationIssued,
)
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
    unique,
)
from tests.support.eventually import eventually


async def rotate(
    bus: Bus, organization: OrganizationIssued, id: str, grace_seconds: int = 0, command_id: str | None = None
) -> CredentialWithPassword:
    request = RotateCredential(
        organization=organization.id,
        actor="key:k",
        id=id,
        grace_seconds=grace_seconds,
        command_id=command_id,
    )
    return await rpc.call(bus, ROTATE_CREDENTIAL, request)


async def change_acl(bus: Bus, organization: OrganizationIssued, id: str, **filters: Any) -> CredentialView:
    return await rpc.call(
        bus, CHANGE_ACL, ChangeAcl(organization=organization.id, actor="key:k", id=id, **filters)
    )


async def end_at(
    bus: Bus, organization: OrganizationIssued, id: str, expires_at: datetime | None
) -> CredentialView:
    request = ChangeExpiry(organization=organization.id, actor="key:k", id=id, expires_at=expires_at)
    return await rpc.call(bus, CHANGE_EXPIRY, request)


async def view(bus: Bus, organization: OrganizationIssued, id: str) -> CredentialView:
    return await rpc.call(
        bus, GET_CREDENTIAL, GetCredential(organization=organization.id, actor="key:k", id=id)
    )


@asynccontextmanager
async def connected(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """Connected; that the broker ends it is no error."""
    await client.__aenter__()
    try:
        yield client
    finally:
        with suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)


async def ended(client: aiomqtt.Client, within_s: float) -> float:
    """How long it took until the broker closed this connection."""
    began = time.monotonic()
    await asyncio.wait([client._disconnected], timeout=within_s)
    assert client._disconnected.done(), "the connection lives on"
    return time.monotonic() - began


class TestRotation:
    async def test_both_passwords_hold_while_the_grace_lasts_each_with_its_own_last_use(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        old = await new_device(gateway, organization, device_id="d1")
        async with connected(device_client(service, old)) as before:
            began = time.monotonic()
            new = await rotate(gateway, organization, old.id, grace_seconds=3)
            assert (new.username, new.client_id) == (old.username, old.client_id)
            assert new.password != old.password
            async with (
                connected(device_client(service, old, client_id=f"{old.client_id}-old")) as with_old,
                connected(device_client(service, new, client_id=f"{old.client_id}-new")) as with_new,
            ):
                held = await view(gateway, organization, old.id)
                newest, previous = held.secrets
                assert (newest.hint, previous.hint) == (new.hint, old.hint)
                assert newest.valid_until is None
                assert previous.valid_until is not None
                assert newest.last_used_at is not None
                assert previous.last_used_at is not None
                assert newest.last_used_at > previous.last_used_at
                assert held.last_used_at == newest.last_used_at

                assert not before._disconnected.done()
                await asyncio.gather(ended(before, 6), ended(with_old, 6))
                assert time.monotonic() - began > 2
                await with_new.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)
            await assert_refused(device_client(service, old))
            assert len((await view(gateway, organization, old.id)).secrets) == 1

    async def test_without_a_grace_the_old_password_and_its_sessions_end_at_once(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        old, other = [await new_device(gateway, organization) for _ in range(2)]
        async with (
            connected(device_client(service, old)) as before,
            connected(device_client(service, other)) as undisturbed,
        ):
            new = await rotate(gateway, organization, old.id)
            assert await ended(before, 3) < 1
            await assert_refused(device_client(service, old))
            async with connected(device_client(service, new)) as client:
                await asyncio.sleep(0.6)  # the second look at the connections spares it
                await client.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)
            await undisturbed.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)

    async def test_a_second_rotation_ends_what_the_first_one_left(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        first = await new_device(gateway, organization)
        second = await rotate(gateway, organization, first.id, grace_seconds=60)
        third = await rotate(gateway, organization, first.id, grace_seconds=60)
        await assert_refused(device_client(service, first))
        for usable in (second, third):
            async with connected(device_client(service, usable)):
                pass

    async def test_the_same_rotation_twice_gives_the_same_password(
        self, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device, command = await new_device(gateway, organization), unique("c")
        first = await rotate(gateway, organization, device.id, 5, command)
        assert (await rotate(gateway, organization, device.id, 5, command)).password == first.password
        with refused("idempotency.reused"):
            await rotate(gateway, organization, device.id, 6, command)

    async def test_what_is_revoked_or_anothers_cannot_be_rotated(
        self, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(gateway, organization)
        with refused("not_found"):
            await rotate(gateway, await new_organization(gateway, "Other"), device.id)
        await revoke(gateway, organization, device)
        with refused("credential.revoked"):
            await rotate(gateway, organization, device.id)
        with refused("credential.revoked"):
            await change_acl(gateway, organization, device.id, publish=())

    async def test_it_is_activity_without_a_secret(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(gateway, organization)
        new = await rotate(gateway, organization, device.id, grace_seconds=60)

        async def there() -> bool:
            return bool(await activity(service, organization.id, "credential.rotated"))

        await eventually(there)
        [(recorded, event)] = await activity(service, organization.id, "credential.rotated")
        assert recorded.actor == "key:k"
        assert event.details["hint"] == new.hint
        assert new.password not in service.output()


class TestExpiry:
    async def test_it_expires_by_itself_and_says_so_once(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(gateway, organization, expires_at=datetime.now(UTC) + timedelta(seconds=2))
        async with connected(device_client(service, device)) as client:
            await ended(client, 5)

        async def there() -> bool:
            return bool(await activity(service, organization.id, "credential.expired"))

        await eventually(there)
        held = await view(gateway, organization, device.id)
        assert held.state == "expired"
        assert held.secrets == ()
        service.running.process.kill()
        service.running.start()
        await asyncio.sleep(1)
        assert len(await activity(service, organization.id, "credential.expired")) == 1
        with refused("credential.expired"):
            await rotate(gateway, organization, device.id)

    async def test_an_expiry_in_the_past_is_refused(
        self, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        with refused("expiry.past"):
            await new_device(gateway, organization, expires_at=datetime.now(UTC) - timedelta(seconds=1))

    async def test_its_end_comes_earlier_later_or_never(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=3)
        earlier = await new_device(gateway, organization, device_id="d1")
        later, never = [await new_device(gateway, organization, expires_at=soon) for _ in range(2)]
        async with connected(device_client(service, earlier)) as client:
            await end_at(gateway, organization, later.id, soon + timedelta(hours=1))
            assert (await end_at(gateway, organization, never.id, None)).expires_at is None
            assert (await end_at(gateway, organization, earlier.id, soon)).expires_at == soon
            await ended(client, 10)
            assert abs((datetime.now(UTC) - soon).total_seconds()) < 2
        await assert_refused(device_client(service, earlier))
        for device in (later, never):
            async with connected(device_client(service, device)):
                pass
            assert (await view(gateway, organization, device.id)).state == "active"
        with refused("credential.expired"):
            await end_at(gateway, organization, earlier.id, None)
        with refused("expiry.past"):
            await end_at(gateway, organization, never.id, soon)
        with refused("not_found"):
            await end_at(gateway, await new_organization(gateway, "Other"), never.id, None)


class TestLastUse:
    async def test_it_survives_a_crash_a_second_later_and_is_no_event(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(gateway, organization)
        assert (await view(gateway, organization, device.id)).last_used_at is None
        async with connected(device_client(service, device)):
            pass
        used = (await view(gateway, organization, device.id)).last_used_at
        assert used is not None
        await asyncio.sleep(1.5)  # the first use of half a minute is written within a second
        service.running.process.kill()
        service.running.start()

        async def known() -> bool:
            return (await view(gateway, organization, device.id)).last_used_at == used

        await eventually(known)

    async def test_an_api_key_shows_its_own(self, gateway: Bus, organization: OrganizationIssued) -> None:
        key = await rpc.call(
            gateway, ISSUE_API_KEY, IssueApiKey(organization=organization.id, actor="key:k", name="ci")
        )
        ask = GetApiKey(organization=organization.id, actor="key:k", id=key.id)
        assert (await rpc.call(gateway, GET_API_KEY, ask)).last_used_at is None
        await rpc.call(gateway, AUTHENTICATE, Authenticate(secret=key.secret))
        used = (await rpc.call(gateway, GET_API_KEY, ask)).last_used_at
        assert used is not None
        assert datetime.now(UTC) - used < timedelta(seconds=5)


async def test_a_credential_gets_another_name(gateway: Bus, organization: OrganizationIssued) -> None:
    device = await new_device(gateway, organization, name="pump")
    request = RenameCredential(organization=organization.id, actor="key:k", id=device.id, name="pump 2")
    assert (await rpc.call(gateway, RENAME_CREDENTIAL, request)).name == "pump 2"
    assert (await view(gateway, organization, device.id)).name == "pump 2"
    with refused("not_found"):
        other = await new_organization(gateway, "Other")
        await rpc.call(gateway, RENAME_CREDENTIAL, request.model_copy(update={"organization": other.id}))


class TestAcl:
    async def test_narrowing_closes_its_live_sessions_within_a_second_and_no_others(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device, other = [await new_device(gateway, organization) for _ in range(2)]
        async with (
            connected(device_client(service, device)) as client,
            connected(device_client(service, other)) as undisturbed,
        ):
            await change_acl(gateway, organization, device.id, publish=("devices/d1/#",))
            assert await ended(client, 3) < 1
            await undisturbed.publish(f"{organization.id}/devices/d2/x", b"x", qos=1)
        async with connected(device_client(service, device)) as client:
            await asyncio.sleep(0.6)  # the second look at the connections spares it
            await client.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)

    async def test_widening_leaves_live_sessions_alone(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(gateway, organization, device_id="d1")
        async with connected(device_client(service, device)) as client:
            wide = ("devices/d1/#", "devices/d2/#")
            held = await change_acl(gateway, organization, device.id, publish=wide)
            assert held.publish == tuple(f"{organization.id}/{filter}" for filter in wide)
            assert held.subscribe == device.subscribe
            await asyncio.sleep(1)
            await client.publish(f"{organization.id}/devices/d1/x", b"x", qos=1)

    async def test_a_template_holds_for_each_connection_by_its_own_client_id(
        self, service: CredentialsService, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(
            gateway,
            organization,
            device_id="d1",
            publish=("devices/{device_id}/#",),
            subscribe=("commands/{client_id}/#",),
        )
        assert device.subscribe == (f"{organization.id}/commands/{{client_id}}/#",)
        publisher = await new_device(gateway, organization, publish=("commands/#",))
        client_id = f"{device.client_id}-a"
        async with (
            connected(device_client(service, device, client_id=client_id)) as client,
            connected(device_client(service, publisher)) as sender,
        ):
            [granted] = await client.subscribe(f"{organization.id}/commands/{client_id}/#", qos=1)
            [forbidden] = await client.subscribe(f"{organization.id}/commands/{device.client_id}-b/#", qos=1)
            assert (granted, forbidden) == (1, 128)
            await sender.publish(f"{organization.id}/commands/{client_id}/go", b"x", qos=1)
            message = await asyncio.wait_for(anext(client.messages), 3)
            assert message.payload == b"x"

    @pytest.mark.parametrize(
        ("filters", "code"),
        [
            (("devices/{device_id}/#",), "filter.invalid"),  # it has no device
            (("devices/{nobody}/#",), "filter.invalid"),
            (("devices/*/x",), "filter.invalid"),
            (("devices/>",), "filter.invalid"),
            (("org_aaaaaaaaaaaaaaaa/devices/#",), "acl.outside"),
            (("elsewhere/#",), "acl.outside"),
        ],
    )
    async def test_what_may_not_be_is_refused(
        self, gateway: Bus, organization: OrganizationIssued, filters: tuple[str, ...], code: str
    ) -> None:
        device = await new_device(gateway, organization)
        with refused(code):
            await change_acl(gateway, organization, device.id, publish=filters)
        assert (await view(gateway, organization, device.id)).publish == device.publish

    async def test_it_says_which_filter_allows_what(
        self, gateway: Bus, organization: OrganizationIssued
    ) -> None:
        device = await new_device(
            gateway, organization, device_id="d1", publish=("devices/{device_id}/a/#", "devices/d1/b")
        )

        async def check(action: Any, topic: str) -> AclAnswer:
            request = CheckAcl(
                organization=organization.id, actor="k", id=device.id, action=action, topic=topic
            )
            return await rpc.call(gateway, CHECK_ACL, request)

        allowed = await check("publish", f"{organization.id}/devices/d1/a/x")
        assert allowed == AclAnswer(allowed=True, filter=f"{organization.id}/devices/{{device_id}}/a/#")
        assert (await check("publish", "devices/d1/b")).allowed
        assert not (await check("publish", "devices/d2/a/x")).allowed
        assert (await check("subscribe", "commands/d1/+")).allowed
        assert not (await check("subscribe", "commands/#")).allowed
        with refused("topic.invalid"):
            await check("publish", "devices/#")
        await revoke(gateway, organization, device)
        assert not (await check("publish", "devices/d1/b")).allowed
