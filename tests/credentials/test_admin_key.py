"""The operator's key: replaced by a command, for every replica, and recovered by configuration."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from contracts.organizations import PLATFORM, Authenticate, RotateAdminKey
from contracts.secrets_format import mint
from services.credentials.admin_key import AdminKeyHandlers
from services.credentials.authentication import Authentication
from services.credentials.handlers import Registry
from services.credentials.hashing import Hashing
from services.credentials.last_use import LastUse
from tests.credentials.parts import ADMIN, HASH_KEY, MakeReplica, Replica, refused, unique


def authentication(replica: Replica, configured: str) -> Authentication:
    return Authentication(
        replica.directory, Hashing(HASH_KEY), SecretStr(configured), LastUse(replica.bus.client)
    )


def handlers(replica: Replica, configured: str) -> AdminKeyHandlers:
    registry = Registry(replica.log, replica.directory)
    return AdminKeyHandlers(replica.handlers._commands, registry, Hashing(HASH_KEY), SecretStr(configured))


def rotation(grace_seconds: int = 0, command_id: str | None = None) -> RotateAdminKey:
    return RotateAdminKey(
        organization=PLATFORM, actor=ADMIN, grace_seconds=grace_seconds, command_id=command_id
    )


async def test_a_rotated_key_replaces_the_configured_one_for_every_replica(
    make_replica: MakeReplica,
) -> None:
    configured = mint("admin")
    async with make_replica() as one, make_replica() as other:
        who = authentication(other, configured)
        assert (await who.key(Authenticate(secret=configured))).actor == "admin"

        first = await handlers(one, configured).rotate(rotation(grace_seconds=1))

        for holding in (configured, first.secret):
            assert (await who.key(Authenticate(secret=holding))).organization == PLATFORM
        await asyncio.sleep(1.1)
        with refused("key.invalid"):
            await who.key(Authenticate(secret=configured))

        second = await handlers(one, configured).rotate(rotation())
        assert second.previous_until is None
        for gone in (configured, first.secret, mint("admin")):
            with refused("key.invalid"):
                await authentication(other, configured).key(Authenticate(secret=gone))
        assert (await who.key(Authenticate(secret=second.secret))).actor == "admin"


async def test_who_lost_it_configures_another(make_replica: MakeReplica) -> None:
    configured, recovered = mint("admin"), mint("admin")
    async with make_replica() as replica:
        lost = await handlers(replica, configured).rotate(rotation())
        who = authentication(replica, recovered)
        assert (await who.key(Authenticate(secret=recovered))).actor == "admin"

        new = await handlers(replica, recovered).rotate(rotation())

        for gone in (configured, recovered, lost.secret):
            with refused("key.invalid"):
                await who.key(Authenticate(secret=gone))
        assert (await who.key(Authenticate(secret=new.secret))).actor == "admin"


async def test_the_same_rotation_twice_is_one(replica: Replica) -> None:
    configured, request = mint("admin"), rotation(command_id=unique("c"))
    first = await handlers(replica, configured).rotate(request)
    assert await handlers(replica, configured).rotate(request) == first


async def test_it_is_the_operators_business(replica: Replica) -> None:
    organization = await replica.organization()
    with refused("scope.missing"):
        await handlers(replica, mint("admin")).rotate(
            RotateAdminKey(organization=organization.id, actor="key:k")
        )
