"""The engine in this process: its spans, an integration's decoder, messages gone before they were read."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contracts import subjects
from contracts.broker_settings import broker_settings
from contracts.decoders.choice import SETTLES_NS
from contracts.envelope import Cause
from contracts.integrations import DecoderChoice, IntegrationChanged, IntegrationCreated
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime.event_log import Append, EventLog
from runtime.log_writer import LogWriter
from services.telemetry import database as writers
from services.telemetry.checkpoints import Session
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.directory import Directory
from services.telemetry.followers import Follower
from services.telemetry.messages import MessagesProjection, Ready
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint
from services.telemetry.projector import Projector
from tests.conftest import MakeNats
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import organization, world

Happened = list[tuple[str, str, dict[str, Any]]]


@asynccontextmanager
async def projecting(
    server: NatsServer, urls: DatabaseUrls, *followers: Follower[Ready]
) -> AsyncIterator[Happened]:
    happened: Happened = []

    async def note(kind: str, summary: str, details: dict[str, Any]) -> None:
        happened.append((kind, summary, details))

    pool = await writers.connect(urls.projector)
    async with platform_client(server, "telemetry") as client:
        directory, writer = Directory(client), LogWriter(client)
        projection = MessagesProjection(directory, DeadLetters(writer), Partitions(), followers=followers)
        tasks = [
            asyncio.create_task(work)
            for work in (directory.run(), writer.run(), Projector(client, pool, projection, note).run())
        ]
        yield happened
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await pool.close()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_a_messages_trace_is_linked_to_the_write_of_its_rows(
    own_nats: NatsServer, database: DatabaseUrls, spans: InMemorySpanExporter
) -> None:
    async with world(own_nats, database) as there, projecting(own_nats, database):
        await there.stored(await there.bridged(organization(), "http", "devices/d/data", {"t": 1}))
    found = spans.get_finished_spans()
    batch = next(span for span in found if span.name == "project messages" and span.links)
    assert format(batch.links[0].context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert batch.context is not None
    children = {s.name for s in found if s.parent is not None and s.parent.span_id == batch.context.span_id}
    assert children == {"COPY samples", "COPY messages", "UPDATE devices"}


async def test_a_message_is_decoded_as_its_integration_said_when_it_came(
    own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org, cause, now = organization(), Cause("admin", "credentials"), datetime.now(UTC)
    subject = subjects.registry(org, "integration", "int_one")
    settings = broker_settings(host="broker.example", port=1883, keepalive_s=30, topic_prefix="plant")
    parts: dict[str, Any] = {"name": "one", "settings": settings, "topics": ()}
    async with world(own_nats, database) as there, platform_client(own_nats, "credentials") as client:
        log = EventLog(client, "REGISTRY")
        created = IntegrationCreated(**parts, decoder=DecoderChoice(name="raw"))
        first = await log.append([Append(subject, created, 0)], cause=cause, now=now)
        await there.bridged(org, "int_one", "plant/d1/data", {"t": 1})
        changed = IntegrationChanged(**parts, decoder=DecoderChoice())
        await log.append([Append(subject, changed, first[0].sequence)], cause=cause, now=now)
        await there.bridged(org, "int_one", "plant/d1/data", {"t": 2})
        await asyncio.sleep(SETTLES_NS / 1e9)  # until then what comes is read as before, by every replica
        last = await there.bridged(org, "int_one", "plant/d1/data", {"t": 3})
        async with projecting(own_nats, database):
            await there.stored(last)
        assert await there.counts(org) == (3, 3, 1)


class Counting:
    """Of each batch, how many messages; its first transaction comes to nothing."""

    def __init__(self) -> None:
        self.stored: list[int] = []
        self.forgotten = 0
        self._fails = True

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> int:
        return len(ready.batch.messages)

    async def write(self, connection: Session, prepared: int) -> None:
        if self._fails:
            self._fails = False
            raise asyncpg.ConnectionDoesNotExistError("gone in mid transaction")

    def committed(self, prepared: int) -> None:
        self.stored.append(prepared)

    def forget(self) -> None:
        self.forgotten += 1


async def test_what_follows_a_projection_is_stored_when_its_rows_are_and_only_then(
    own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org, follower = organization(), Counting()
    async with world(own_nats, database) as there:
        last = await there.fill(org, 10)
        async with projecting(own_nats, database, follower):
            await there.stored(last)
            assert await there.counts(org) == (10, 10, 10)
            await eventually(lambda: sum(follower.stored) >= 10)
    assert follower.forgotten >= 1


@pytest.mark.faults
async def test_messages_that_are_gone_before_they_were_read_are_counted(
    make_nats: MakeNats, database: DatabaseUrls
) -> None:
    server, org = make_nats(provisioned=True), organization()
    async with world(server, database) as there, platform_client(server, "provision") as client:
        async with projecting(server, database):
            await there.fill(org, 10)

            async def all_ten() -> bool:
                return await there.counts(org) == (10, 10, 10)

            await eventually(all_ten)
        await there.fill(org, 90)
        info = json.loads((await client.request("$JS.API.STREAM.INFO.MESSAGES", b"")).data)
        smaller = json.dumps({**info["config"], "max_msgs": 20}).encode()
        answer = json.loads((await client.request("$JS.API.STREAM.UPDATE.MESSAGES", smaller)).data)
        assert "error" not in answer
        async with projecting(server, database) as happened:
            await there.stored(100)
        assert await there.counts(org) == (30, 30, 30)
    assert [(kind, details["count"]) for kind, _, details in happened] == [("log.trimmed", 70)]
