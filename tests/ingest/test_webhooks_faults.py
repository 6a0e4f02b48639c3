"""Webhooks when something ends: an owner in the middle of calls, a receiver for long, patience with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.nats import NatsServer
from tests.conftest import RunService
from tests.ingest.conftest import World, quiet
from tests.ingest.hooks import Hooks, hooks_of
from tests.support.eventually import eventually
from tests.support.receiver import OK, Receiver, answer, receiving
from tests.support.service import Service

pytestmark = pytest.mark.faults
PATIENT = {"WEBHOOK_SCHEDULE": "0.2,3600", "WEBHOOK_PROBE_S": "1", "WEBHOOK_TIMEOUT_S": "5"}


@pytest.fixture(scope="module")
def two(own_nats: NatsServer, run_service: RunService) -> list[Service]:
    """Two replicas, whose second retry lies an hour ahead, and which look after a failing receiver each second."""
    return [run_service("ingest", own_nats, **PATIENT) for _ in range(2)]


@pytest.fixture
async def hooks(two: list[Service], world: World) -> AsyncIterator[Hooks]:
    async with hooks_of(world) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


def payloads(receiver: Receiver) -> list[str]:
    return [payload for call in receiver.calls for payload in call.payloads]


async def test_what_waits_goes_as_soon_as_the_receiver_is_back(hooks: Hooks, receiver: Receiver) -> None:
    receiver.always(answer(503))
    id = await hooks.create(receiver.url)
    for number in range(4):
        await hooks.message(str(number))
        await asyncio.sleep(0.1)

    async def waiting() -> bool:
        found = await hooks.deliveries(id, state="waiting")
        return bool(found and all(each["attempts"] >= 2 for each in found))

    await eventually(waiting)

    async def failing() -> bool:
        return bool((await hooks.state(id))["state"] == "failing")

    await eventually(failing)
    receiver.calls.clear()
    receiver.always(OK)
    await eventually(lambda: set(payloads(receiver)) == {"0", "1", "2", "3"})  # and not in an hour
    kinds = await eventually(lambda: _kinds(hooks, "webhook.recovered"))
    assert kinds.count("webhook.failing") == 1


async def _kinds(hooks: Hooks, wanted: str) -> list[str]:
    kinds = await hooks.world.kinds()
    return kinds if wanted in kinds else []


async def test_an_owner_killed_in_the_middle_of_calls_loses_nothing(
    hooks: Hooks, receiver: Receiver, two: list[Service]
) -> None:
    receiver.delay_s = 0.1
    id = await hooks.create(receiver.url, ordered=True)
    sent = [f"{device} {n}" for n in range(60) for device in ("d1", "d2", "d3")]
    sending = asyncio.create_task(_send(hooks, sent))
    await eventually(lambda: len(receiver.calls) >= 3)
    one, other = two
    one.process.kill()  # one of the two is the owner, and each is killed
    await asyncio.to_thread(one.start)
    other.process.kill()
    await sending
    await eventually(lambda: set(payloads(receiver)) == set(sent), timeout_s=90)
    await asyncio.to_thread(other.start)
    copies = [call for call in receiver.calls if call.headers["webhook-id"]]
    by_id = {call.headers["webhook-id"]: call.body for call in copies}
    assert all(by_id[call.headers["webhook-id"]] == call.body for call in copies), (
        "the same id, the same body"
    )
    for device in ("d1", "d2", "d3"):
        first = dict.fromkeys(payload for payload in payloads(receiver) if payload.startswith(device))
        assert list(first) == [each for each in sent if each.startswith(device)]

    async def settled() -> bool:
        return not await hooks.deliveries(id, state="pending")

    await eventually(settled)


async def _send(hooks: Hooks, payloads: list[str]) -> None:
    for payload in payloads:
        await hooks.message(payload, payload.split()[0])
        await asyncio.sleep(0.01)


async def test_a_webhook_that_only_failed_for_so_long_is_paused(
    own_nats: NatsServer, run_service: RunService, two: list[Service], receiver: Receiver, world: World
) -> None:
    for replica in two:
        await asyncio.to_thread(replica.process.stop)
    run_service("ingest", own_nats, **{**PATIENT, "WEBHOOK_PAUSE_AFTER_S": "1"})
    async with hooks_of(world) as hooks:
        receiver.always(answer(500))
        id = await hooks.create(receiver.url)
        for number in range(4):
            await hooks.message(str(number))
            await asyncio.sleep(0.05)

        async def paused() -> bool:
            events = await hooks.world._all("REGISTRY", f"registry.{hooks.organization}.webhook.*")
            return any(b'"failing"' in each.data for each in events)

        await eventually(paused)
        await quiet(1.5)
        receiver.calls.clear()
        receiver.always(OK)
        await quiet(2.0)
        assert not receiver.calls
        await hooks.resume(id)
        await eventually(lambda: set(payloads(receiver)) == {"0", "1", "2", "3"})
