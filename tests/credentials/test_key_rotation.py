"""Rotation of the key-encryption key: the ring of keys, wrapping anew, and kills in the middle of it."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.streams import IDEMPOTENCY_BUCKET, SECRETS_BUCKET
from deploy.local.nats import NatsServer
from runtime.bus import Bus
from runtime.kv import Bucket
from services.credentials import keyring
from services.credentials.plans import context_of_plan
from services.credentials.rotation import Place, Rotator
from services.credentials.sealing import Sealing
from services.credentials.vault import context_of_secret
from tests.credentials.parts import Replica, refused
from tests.credentials.rotating import NEW, OLD, Rotating, fill, opened, rotating_service, written

CONTEXT = ("org_1", "int_1", "password", "v1")
SECRETS = 300
KILLED_SECRETS, KILLS = 240, 3  # `make faults` has the ten, and more secrets


# the ring


def test_one_key_alone_needs_no_id() -> None:
    (key,) = keyring.parse(base64.b64encode(OLD.value).decode())
    assert key.value == OLD.value
    assert key.id == keyring.fingerprint(OLD.value).hex()


def test_the_first_of_several_is_the_current_one() -> None:
    assert keyring.parse(written(NEW, OLD)) == (NEW, OLD)
    assert keyring.parse(f"{written(NEW)}, {base64.b64encode(OLD.value).decode()}")[1].value == OLD.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "id:" + base64.b64encode(b"k" * 31).decode(),
        written(OLD) + ",",
        written(OLD, OLD),
        written(OLD, keyring.Key("other", OLD.value)),
        written(OLD, keyring.Key("old", NEW.value)),
        written(keyring.Key("a b", OLD.value)),
        written(*(keyring.Key(str(n), bytes([n]) * 32) for n in range(9))),
    ],
)
def test_a_ring_that_is_none_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        keyring.parse(text)
    assert base64.b64encode(OLD.value).decode() not in str(caught.value)
    assert base64.b64encode(OLD.value).decode() not in repr(OLD)


# wrapping anew


def test_what_is_wrapped_anew_needs_the_old_key_no_more() -> None:
    sealed = Sealing(OLD.value).seal(b"secret", CONTEXT)
    both = Sealing(NEW.value, OLD.value)
    assert not both.is_current(sealed)
    anew = both.rewrap(sealed, CONTEXT)
    assert both.is_current(anew)
    assert Sealing(NEW.value).open(anew, CONTEXT) == b"secret"
    with refused("secret.unreadable"):
        Sealing(OLD.value).open(anew, CONTEXT)


def test_the_secret_itself_is_not_encrypted_anew() -> None:
    sealed = Sealing(OLD.value).seal(b"secret", CONTEXT)
    anew = Sealing(NEW.value, OLD.value).rewrap(sealed, CONTEXT)
    assert anew[-len(b"secret") - 28 :] == sealed[-len(b"secret") - 28 :]


def test_nothing_is_wrapped_anew_for_another_place() -> None:
    sealed = Sealing(OLD.value).seal(b"secret", CONTEXT)
    with refused("secret.unreadable"):
        Sealing(NEW.value, OLD.value).rewrap(sealed, (*CONTEXT[:3], "v2"))


# on the real server


def rotator(bus: Bus, *keys: keyring.Key) -> Rotator:
    return Rotator(
        keys,
        Sealing(*(key.value for key in keys)),
        (
            Place(Bucket(bus.client, SECRETS_BUCKET), context_of_secret),
            Place(Bucket(bus.client, IDEMPOTENCY_BUCKET), context_of_plan),
        ),
    )


@pytest.fixture
def bucket(replica: Replica) -> Bucket:
    return replica.secrets


async def test_after_a_rotation_nothing_is_left_on_the_old_key(replica: Replica, bucket: Bucket) -> None:
    references = await fill(bucket, Sealing(OLD.value), SECRETS)
    rotating = rotator(replica.bus, NEW, OLD)
    before = await rotating.state()
    assert before.left >= SECRETS
    assert (before.current, before.keys) == ("new", ("new", "old"))
    assert (await rotating.rotate()).left == 0
    assert [await opened(bucket, Sealing(NEW.value), each) for each in references] == references
    assert (await rotating.state()).rewrapped >= SECRETS


async def test_what_is_deleted_meanwhile_stays_deleted(replica: Replica, bucket: Bucket) -> None:
    (reference,) = await fill(bucket, Sealing(OLD.value), 1)
    held = await bucket.get(reference)
    assert held is not None
    await bucket.delete(reference)
    anew = Sealing(NEW.value, OLD.value).rewrap(held.data, context_of_secret(reference))
    assert await bucket.put(reference, anew, expected=held.revision) is None
    assert await bucket.get(reference) is None


async def test_a_secret_of_an_unknown_key_is_counted_and_left_alone(replica: Replica, bucket: Bucket) -> None:
    lost = Sealing(b"l" * 32)
    (reference,) = await fill(bucket, lost, 1)
    count = await rotator(replica.bus, NEW, OLD).rotate()
    assert count.unreadable >= 1
    assert count.left == 0
    assert await opened(bucket, lost, reference) == reference
    await bucket.delete(reference)


async def test_two_rotations_at_once_disturb_each_other_in_nothing(replica: Replica, bucket: Bucket) -> None:
    references = await fill(bucket, Sealing(OLD.value), SECRETS)
    counts = await asyncio.gather(*(rotator(replica.bus, NEW, OLD).rotate() for _ in range(2)))
    assert [count.left for count in counts] == [0, 0]
    assert [await opened(bucket, Sealing(NEW.value), each) for each in references] == references


# the service


@pytest.fixture
def rotating(own_nats: NatsServer, tmp_path: Path) -> Iterator[Rotating]:
    """The service as a process, whose keys the test writes."""
    held = rotating_service(own_nats, tmp_path)
    yield held
    held.service.running.process.stop()


@pytest.mark.slow
async def test_killed_in_the_middle_of_it_nothing_is_lost_and_nothing_is_left(
    rotating: Rotating, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    record_property("seed", seed)
    await rotating.survives(KILLED_SECRETS, KILLS, random.Random(seed))


async def test_the_rotation_is_the_operators_alone(rotating: Rotating) -> None:
    rotating.write(OLD)
    rotating.service.running.start()
    await rotating.refuses_a_tenant()
