"""A registry written as the credentials service writes it, its secrets, and what the logs hold."""

import asyncio
import json
import random
import string
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import messages, subjects, upcasts
from contracts.activity import ActivityRecorded
from contracts.broker_secrets import FIELDS
from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.calls import Call
from contracts.envelope import Cause, Event
from contracts.integrations import (
    READ_SECRET,
    DecoderChoice,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    ReadSecret,
)
from contracts.links import IntegrationPaused, IntegrationResumed, IntegrationWatchChanged, LinkCall
from contracts.messages import StoredMessage
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK
from runtime import rpc
from runtime.event_log import Append, EventLog
from runtime.pull import Pull
from runtime.rpc import encode
from tests.conftest import RunService
from tests.support.clients import platform_client
from tests.support.service import Service

WORLD_USERS = ("credentials", "telemetry", "gateway")


def _random(prefix: str) -> str:
    return prefix + "".join(random.choices(string.ascii_lowercase + string.digits, k=16))


class World:
    """One organization, seen from the other services."""

    def __init__(self, server: NatsServer, clients: dict[str, Client]) -> None:
        self.server = server
        self.organization = _random("org_")
        self.passwords: dict[str, str] = {}  # by reference
        self._clients = clients
        self._log = EventLog(clients["credentials"], "REGISTRY")
        self._expected: dict[str, int] = {}
        self._followed: dict[tuple[str, ...], tuple[Pull, list[Any]]] = {}

    async def create(self, port: int, *, topics: tuple[TopicFilter, ...] = (), **settings: Any) -> str:
        """An integration with a broker on loopback; its id."""
        id = _random("int_")
        await self._append(id, IntegrationCreated, port, topics, settings)
        return id

    async def change(
        self, id: str, port: int, *, topics: tuple[TopicFilter, ...] = (), **settings: Any
    ) -> None:
        await self._append(id, IntegrationChanged, port, topics, settings)

    async def delete(self, id: str) -> None:
        await self._write(id, IntegrationDeleted())

    async def pause(self, id: str) -> None:
        await self._write(id, IntegrationPaused())

    async def resume(self, id: str) -> None:
        await self._write(id, IntegrationResumed())

    async def watch(self, id: str, expected_interval_s: float | None) -> None:
        await self._write(id, IntegrationWatchChanged(expected_interval_s=expected_interval_s))

    async def _append(
        self,
        id: str,
        kind: type[IntegrationCreated] | type[IntegrationChanged],
        port: int,
        topics: tuple[TopicFilter, ...],
        settings: dict[str, Any],
    ) -> None:
        secrets = {}
        for field in FIELDS:
            if (value := settings.pop(field, None)) is not None:
                secrets[field] = _random("ref_")
                self.passwords[secrets[field]] = value
        event = kind(
            name=id,
            settings=broker_settings(**{"host": LOOPBACK, "port": port, **settings}),
            topics=topics,
            decoder=DecoderChoice(),
            secrets=secrets,
        )
        await self._write(id, event)

    async def _write(self, id: str, event: Event) -> None:
        subject = subjects.registry(self.organization, "integration", id)
        append = Append(subject, event, self._expected.get(subject, 0))
        done = await self._log.append([append], cause=Cause("test", "test"), now=datetime.now(UTC))
        self._expected[subject] = done[0].sequence

    async def serve_secrets(self) -> None:
        async def answer(message: Msg) -> None:
            asked = ReadSecret.model_validate_json(message.data)
            value = self.passwords.get(asked.reference)
            if value is not None:
                await message.respond(json.dumps({"ok": {"value": value}}).encode())

        await self._clients["credentials"].subscribe(READ_SECRET.subject, cb=answer)

    async def call(self, what: Call[Any, Any], **request: Any) -> Any:
        """The raw answer of a call, as the gateway makes it: `{"ok": …}` or `{"failure": …}`."""
        body = encode(what.request(organization=self.organization, actor="test", **request))
        reply = await self._clients["gateway"].request(what.subject, body, timeout=what.timeout_s)
        return json.loads(reply.data)

    async def request(self, subject: str, body: bytes) -> Any:
        """The same, of anything to any subject that the gateway may speak to."""
        return json.loads((await self._clients["gateway"].request(subject, body, timeout=5)).data)

    async def ask_link(self, what: LinkCall[Any, Any], link: str, **request: Any) -> Any:
        """The answer of the link's owner, as the gateway gets it; raises its failure."""
        asked = what.request(organization=self.organization, actor="test", integration=link, **request)
        bus: Any = SimpleNamespace(client=self._clients["gateway"])
        return await rpc.call(bus, what.at(self.organization, link), asked)

    async def stored(self, source: str, *, anew: bool = False) -> list[StoredMessage]:
        """All of a source's messages; `anew`: as they stand in MESSAGES now, even if it had lost some."""
        filters = (f"message.*.{self.organization}.{source}", f"message.*.{self.organization}.{source}.>")
        if anew:
            await self._forget("MESSAGES", *filters)
        return [
            messages.stored(entry.subject, entry.headers, entry.data, datetime.now(UTC))
            for entry in await self._all("MESSAGES", *filters)
        ]

    async def stored_at(self, source: str) -> list[tuple[float, bytes]]:
        """When the stream stored them (Unix time), and their payloads."""
        entries = await self._all("MESSAGES", f"message.*.{self.organization}.{source}")
        return [(entry.time_ns / 1e9, entry.data) for entry in entries]

    async def activity(self) -> list[ActivityRecorded]:
        found = []
        for entry in await self._all("ACTIVITY", f"activity.{self.organization}.*"):
            recorded = upcasts.decode(entry.headers, entry.data)
            assert recorded is not None
            assert isinstance(recorded.event, ActivityRecorded)
            found.append(recorded.event)
        return found

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.activity()]

    async def _all(self, stream: str, *filters: str) -> list[Any]:
        """What came up to now. One consumer for each question, however often it is asked: the server forgets one
        only after half a minute, and refuses more than so many."""
        known = (stream, *filters) in self._followed
        if not known:
            pull = Pull(self._clients["telemetry"], stream, start=1, filters=filters, name="test")
            self._followed[stream, *filters] = pull, []
        pull, found = self._followed[stream, *filters]
        while batch := await pull.next_batch(2000, timeout_s=0.1 if known else 0.3):
            found += batch
            if batch[-1].pending == 0:
                break
        return list(found)

    async def _forget(self, stream: str, *filters: str) -> None:
        if (followed := self._followed.pop((stream, *filters), None)) is not None:
            await followed[0].close()

    async def close(self) -> None:
        for question in list(self._followed):
            await self._forget(*question)


@asynccontextmanager
async def open_world(server: NatsServer) -> AsyncIterator[World]:
    async with (
        platform_client(server, "credentials") as credentials,
        platform_client(server, "telemetry") as telemetry,
        platform_client(server, "gateway") as gateway,
    ):
        world = World(server, {"credentials": credentials, "telemetry": telemetry, "gateway": gateway})
        await world.serve_secrets()
        try:
            yield world
        finally:
            await world.close()


@pytest.fixture
async def world(own_nats: NatsServer) -> AsyncIterator[World]:
    async with open_world(own_nats) as opened:
        yield opened


@pytest.fixture
def run_ingest(own_nats: NatsServer, run_service: RunService) -> Callable[..., Service]:
    """Starts the ingest service on the module's NATS."""
    return lambda **extra: run_service("ingest", own_nats, **extra)


@pytest.fixture(scope="module")
def ingest(own_nats: NatsServer, run_service: RunService) -> Service:
    """One ingest service for the module's tests."""
    return run_service("ingest", own_nats)


async def quiet(seconds: float) -> None:
    """For what must not happen there is no event to await."""
    await asyncio.sleep(seconds)
