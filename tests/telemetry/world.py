"""Messages as the hosted broker and ingest write them, and what the service answers and stores."""

from __future__ import annotations

import json
import random
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
from nats.aio.client import Client
from pydantic_core import from_json

from contracts import failures, messages, subjects
from contracts.calls import AnswerT, Call, RequestT
from contracts.topics import to_subject
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from services.telemetry.database import plain_url
from tests.support.clients import platform_client
from tests.support.eventually import eventually


def organization() -> str:
    return "org_" + "".join(random.choices(string.ascii_lowercase + string.digits, k=16))


class World:
    def __init__(
        self, ingest: Client, gateway: Client, urls: DatabaseUrls, database: asyncpg.Connection
    ) -> None:
        self.ingest, self.gateway, self.urls, self.database = ingest, gateway, urls, database

    async def hosted(self, org: str, device: str, payload: Any, rest: str = "telemetry", qos: int = 1) -> int:
        """Its sequence in MESSAGES."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        subject = subjects.hosted_message(org, to_subject(device), rest)
        return await self.write(subject, {messages.NATS_MQTT_PUBLISH: str(qos)}, data)

    async def bridged(
        self,
        org: str,
        source: str,
        topic: str,
        payload: Any,
        *,
        retain: bool = False,
        at: datetime | None = None,
    ) -> int:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        held = messages.headers(
            id=f"m{random.random()}",
            topic=topic,
            qos=1,
            retain=retain,
            received=at or datetime.now(UTC),
            source=source,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        return await self.write(subjects.message(org, source, None), held, data)

    async def write(self, subject: str, headers: dict[str, str], data: bytes) -> int:
        answer = from_json((await self.ingest.request(subject, data, headers=headers, timeout=30)).data)
        return int(answer["seq"])

    async def fill(self, org: str, count: int, *, devices: int = 20, bad_every: int = 0) -> int:
        """Many messages, quickly; the last sequence."""
        for number in range(1, count):
            await self.ingest.publish(
                subjects.hosted_message(org, f"d{number % devices}", "telemetry"),
                b"{nope"
                if bad_every and number % bad_every == 0
                else json.dumps({"n": number, "s": "x"}).encode(),
                headers={messages.NATS_MQTT_PUBLISH: "1"},
            )
        return await self.hosted(org, "d0", {"n": count, "s": "x"})

    async def ask(self, call: Call[RequestT, AnswerT], request: RequestT) -> AnswerT:
        reply = await self.gateway.request(call.subject, request.model_dump_json().encode(), timeout=10)
        body = from_json(reply.data)
        if "failure" in body:
            raise failures.from_dict(body["failure"])
        return call.answer.model_validate(body["ok"])

    async def stored(self, sequence: int, projection: str = "messages", timeout_s: float = 30) -> None:
        """Returns when the projection has passed this sequence."""

        async def passed() -> bool:
            held = await self.database.fetchval(
                "SELECT sequence FROM checkpoints WHERE projection = $1", projection
            )
            return held is not None and held >= sequence

        await eventually(passed, timeout_s=timeout_s)

    async def counts(self, org: str) -> tuple[int, int, int]:
        """Messages, distinct ones, samples."""
        row = await self.database.fetchrow(
            """
            WITH o AS (SELECT id FROM organizations WHERE name = $1), m AS (
                SELECT epoch, sequence FROM messages WHERE organization = (SELECT id FROM o))
            SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM (SELECT DISTINCT * FROM m) AS one),
                (SELECT count(*) FROM samples WHERE organization = (SELECT id FROM o))
            """,
            org,
        )
        assert row is not None
        return row[0], row[1], row[2]

    async def dump(self) -> list[Any]:
        """All that the projection made, with names for numbers, in an order of its own."""
        return await dump(self.database)


_DUMP = (
    """
    SELECT o.name, d.name, s.time, s.sequence, s.position, s.flags, s.source, s.topic, s.numbers,
        (SELECT array_agg(m.name ORDER BY u.at) FROM unnest(s.metrics) WITH ORDINALITY AS u (id, at)
            JOIN metrics m USING (id)),
        (SELECT array_agg(value::text ORDER BY value::text) FROM jsonb_each(s.others))
    FROM samples s JOIN organizations o ON o.id = s.organization JOIN devices d ON d.id = s.device
    ORDER BY s.sequence, s.position
    """,
    """
    SELECT o.name, d.name, m.received_at, m.sequence, m.qos, m.retain, m.source, m.topic, m.payload, m.failure
    FROM messages m JOIN organizations o ON o.id = m.organization LEFT JOIN devices d ON d.id = m.device
    ORDER BY m.sequence
    """,
    """
    SELECT o.name, d.name, d.first_seen, d.last_seen, d.messages, p.online, p.since, p.why
    FROM devices d JOIN organizations o ON o.id = d.organization LEFT JOIN presence p ON p.device = d.id ORDER BY 1, 2
    """,
    """
    SELECT d.name, m.name, dm.day FROM device_metrics dm JOIN devices d ON d.id = dm.device
        JOIN metrics m ON m.id = dm.metric ORDER BY 1, 2
    """,
)


async def dump(database: asyncpg.Connection) -> list[Any]:
    return [[tuple(row) for row in await database.fetch(query)] for query in _DUMP]


@asynccontextmanager
async def world(server: NatsServer, urls: DatabaseUrls) -> AsyncIterator[World]:
    async with platform_client(server, "ingest") as ingest, platform_client(server, "gateway") as gateway:
        database = await asyncpg.connect(plain_url(urls.projector))
        try:
            yield World(ingest, gateway, urls, database)
        finally:
            await database.close()
