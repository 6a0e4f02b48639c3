"""What is kept of a webhook, and where its reading begins: one owner at a time, and no log is taken for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client

from contracts import subjects
from contracts.webhook_deliveries import DeliveryRecord, Place, Standing
from deploy.local.nats import NatsServer
from services.ingest.links import Key
from services.ingest.webhooks.feed import fetched, open_feed
from services.ingest.webhooks.store import STATE, Lost, Store, read
from tests.ingest.conftest import World
from tests.ingest.hooks import Hooks
from tests.support.clients import platform_client

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
async def client(own_nats: NatsServer) -> AsyncIterator[Client]:
    async with platform_client(own_nats, "ingest") as connected:
        yield connected


@pytest.fixture
def key(world: World) -> Key:
    return Key(world.organization, "whk_1")


def record(number: int) -> DeliveryRecord:
    return DeliveryRecord(
        id=f"m{number}",
        number=number,
        type="message",
        source="MESSAGES",
        epoch="e",
        sequences=(number,),
        through=number,
        at_ns=1,
        planned_at=NOW,
    )


async def test_what_was_saved_is_there_for_the_next_owner(client: Client, key: Key) -> None:
    first = Store(client, key, {})
    await first.save([("0", record(1)), ("1", record(2))])
    await first.save([("0", record(3)), (STATE, Standing(failures=2))])
    kept = await read(client, key)
    assert sorted((slot, held.number) for slot, held in kept.records) == [("0", 3), ("1", 2)]
    assert kept.standing.failures == 2
    await Store(client, key, kept.sequences).save([("0", record(4))])
    assert (await read(client, Key(key.organization, "whk_2"))).records == []


async def test_a_former_owner_that_wakes_is_stopped_by_its_first_write(client: Client, key: Key) -> None:
    former = Store(client, key, {})
    await former.save([("0", record(1))])
    now = Store(client, key, (await read(client, key)).sequences)
    await now.save([("0", record(2))])
    with pytest.raises(Lost):
        await former.save([("0", record(9))])
    with pytest.raises(Lost):  # all or none: the first of these would have been free
        await former.save([("5", record(8)), ("0", record(9))])
    kept = await read(client, key)
    assert [(slot, held.number) for slot, held in kept.records] == [("0", 2)]


async def test_an_acknowledgement_that_was_lost_is_no_other_owner(client: Client, key: Key) -> None:
    store = Store(client, key, {})
    await store.save([("0", record(1))])
    again = Store(client, key, {})
    await again.save([("0", record(1))])  # the very same: it was stored before
    await again.save([("0", record(2))])


async def test_a_log_that_was_made_anew_is_read_on_by_time(client: Client, world: World, key: Key) -> None:
    hooks = Hooks(world)
    first = await hooks.message("before")
    [stored] = await fetched(client, "MESSAGES", [first])
    await asyncio.sleep(0.01)
    second = await hooks.message("after")
    filters = subjects.messages_of(world.organization)
    early = datetime.now(UTC) - timedelta(hours=1)
    for held in (
        Place(epoch="of another stream", sequence=10**9, at_ns=stored.time_ns),
        Place(epoch="of another stream", sequence=1, at_ns=stored.time_ns),
    ):
        opened = await open_feed(client, "MESSAGES", filters, held, early)
        batch = await opened.pull.next_batch(10, timeout_s=10)
        assert [each.sequence for each in batch] == [second]
        assert opened.skipped == 0
        await opened.pull.close()


async def test_a_place_is_gone_on_from_unless_it_is_older_than_what_is_wanted(
    client: Client, world: World, key: Key
) -> None:
    hooks = Hooks(world)
    sent = [await hooks.message(str(number)) for number in range(3)]
    filters = subjects.messages_of(world.organization)
    early = datetime.now(UTC) - timedelta(hours=1)
    opened = await open_feed(client, "MESSAGES", filters, None, early)
    batch = await opened.pull.next_batch(10, timeout_s=10)
    assert [each.sequence for each in batch] == sent
    await opened.pull.close()
    place = opened.place.model_copy(update={"sequence": sent[0], "at_ns": batch[0].time_ns})
    for since, expected in ((early, sent[1:]), (datetime.now(UTC) + timedelta(seconds=1), [])):
        again = await open_feed(client, "MESSAGES", filters, place, since)
        found = await again.pull.next_batch(10, timeout_s=2)
        assert [each.sequence for each in found] == expected
        await again.pull.close()


async def test_messages_that_the_log_holds_no_longer_are_not_found(client: Client, world: World) -> None:
    there = await Hooks(world).message("there")
    found = await fetched(client, "MESSAGES", [there, 10**9])
    assert [(each.sequence, each.data) for each in found] == [(there, b"there")]
