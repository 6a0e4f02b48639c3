"""Group commit into a stream and the continuous pull out of it, through a server that dies in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from nats.aio.client import Client
from uuid_utils import uuid7

from contracts import subjects
from contracts.failures import Unavailable
from deploy.local.nats import NatsServer
from runtime.bus import Bus
from runtime.jetstream import STREAM_NOT_FOUND, ApiError, stream_state
from runtime.log_writer import MESSAGE_ID, LogWriter
from runtime.pull import Entry, Pull
from tests.runtime.conftest import bus_of


@asynccontextmanager
async def running(client: Client, **limits: Any) -> AsyncIterator[LogWriter]:
    writer = LogWriter(client, **limits)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def new_source() -> tuple[str, str]:
    organization = f"org_{uuid7().hex[-16:]}"
    return organization, subjects.message(organization, "int_1", "d1")


async def read(pull: Pull, count: int) -> list[Entry]:
    found: list[Entry] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await pull.next_batch(1000)
    return found


async def test_what_is_written_is_stored_once_and_in_order(ingest_bus: Bus, telemetry_bus: Bus) -> None:
    organization, subject = new_source()
    start = (await stream_state(telemetry_bus.client, "MESSAGES")).last + 1
    async with running(ingest_bus.client) as writer:
        stored = await asyncio.gather(
            *(writer.write(subject, {MESSAGE_ID: f"{organization}-{n}"}, b"%d" % n) for n in range(1200))
        )
    assert [at.sequence for at in stored] == list(range(start, start + 1200))
    pull = Pull(telemetry_bus.client, "MESSAGES", start=start, filters=subjects.messages_of(organization))
    assert [int(entry.data) for entry in await read(pull, 1200)] == list(range(1200))
    assert await pull.next_batch(1, timeout_s=0.2) == []
    await pull.close()


async def test_a_message_with_a_known_id_is_told_apart_and_its_batch_goes_in(ingest_bus: Bus) -> None:
    organization, subject = new_source()
    async with running(ingest_bus.client) as writer:
        first = await writer.write(subject, {MESSAGE_ID: f"{organization}-1"}, b"one")
        again, other = await asyncio.gather(
            writer.write(subject, {MESSAGE_ID: f"{organization}-1"}, b"one"),
            writer.write(subject, {MESSAGE_ID: f"{organization}-2"}, b"two"),
        )
    assert (again.sequence, again.duplicate) == (first.sequence, True)
    assert not other.duplicate


async def test_a_full_queue_refuses_instead_of_growing(ingest_bus: Bus) -> None:
    _, subject = new_source()
    writer = LogWriter(ingest_bus.client, queue_messages_max=2)  # not running: nothing leaves the queue
    writer.write(subject, {MESSAGE_ID: "a"}, b"")
    writer.write(subject, {MESSAGE_ID: "b"}, b"")
    with pytest.raises(Unavailable, match=r"log\.unavailable"):
        writer.write(subject, {MESSAGE_ID: "c"}, b"")
    assert writer.waiting == 2


async def test_a_pull_of_a_stream_that_does_not_exist_says_so(nats_server: NatsServer) -> None:
    async with bus_of(nats_server, "telemetry") as bus:
        with pytest.raises(ApiError) as raised:
            await Pull(bus.client, "MESSAGES", start=1).next_batch(1, timeout_s=1)
    assert raised.value.code == STREAM_NOT_FOUND


async def test_a_new_message_arrives_at_a_waiting_pull(ingest_bus: Bus, telemetry_bus: Bus) -> None:
    organization, subject = new_source()
    start = (await stream_state(telemetry_bus.client, "MESSAGES")).last + 1
    pull = Pull(telemetry_bus.client, "MESSAGES", start=start, filters=subjects.messages_of(organization))
    waiting = asyncio.create_task(pull.next_batch(10))
    async with running(ingest_bus.client) as writer:
        await writer.write(subject, {MESSAGE_ID: f"{organization}-1", "mqtt-topic": "a"}, b"x")
    [entry] = await asyncio.wait_for(waiting, 5)
    assert entry.data == b"x"
    assert entry.headers["mqtt-topic"] == "a"
    await pull.close()


async def test_no_message_is_lost_or_doubled_when_the_server_is_killed(own_nats: NatsServer) -> None:
    organization, subject = new_source()
    async with bus_of(own_nats, "ingest") as ingest, bus_of(own_nats, "telemetry") as telemetry:
        pull = Pull(telemetry.client, "MESSAGES", start=1, filters=subjects.messages_of(organization))
        async with running(ingest.client, ack_timeout_s=1) as writer:
            reading = asyncio.create_task(read(pull, 3000))
            for n in range(3000):
                if n in (700, 1900):
                    own_nats.kill()
                    own_nats.start()
                write = writer.write(subject, {MESSAGE_ID: f"{organization}-{n}"}, b"%d" % n)
                if n % 100 == 0:
                    await asyncio.wait_for(write, 20)
            entries = await asyncio.wait_for(reading, 30)
    assert [int(entry.data) for entry in entries] == list(range(3000))
