"""Webhooks: what is sent, signed with what, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ingest.conftest import World
from tests.ingest.hooks import Hooks, hooks_of, verified
from tests.support.eventually import eventually
from tests.support.receiver import Receiver, receiving
from tests.support.service import Service

FAST = {
    "WEBHOOK_SCHEDULE": "0.2,0.3,0.4",
    "WEBHOOK_PROBE_S": "3600",
    "WEBHOOK_TIMEOUT_S": "2",
}


@pytest.fixture(scope="module")
def fast_ingest(own_nats, run_service) -> Service:  # type: ignore[no-untyped-def]
    """One ingest service that tries again soon."""
    started: Service = run_service("ingest", own_nats, **FAST)
    return started


@pytest.fixture
async def hooks(fast_ingest: Service, world: World) -> AsyncIterator[Hooks]:
    async with hooks_of(world) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


async def test_a_message_is_sent_signed(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url, headers={"Authorization": "Bearer hush"})
    sequence = await hooks.message('{"t": 21.5}')
    await eventually(lambda: receiver.calls)
    [call] = receiver.calls
    assert verified(hooks.secrets[id][0], call)
    assert call.headers["authorization"] == "Bearer hush"
    assert call.headers["content-type"] == "application/json"
    body = call.json
    assert (body["type"], body["data"]["messages"][0]["sequence"]) == ("message", sequence)
    assert call.payloads == ['{"t": 21.5}']
