"""Webhooks as the credentials service would write them, what happens for them, and a verifier of their calls."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from uuid_utils import uuid7

from contracts import envelope, messages, subjects
from contracts.activity import ActivityRecorded
from contracts.alerts import AlertOpened
from contracts.envelope import Cause, Event
from contracts.webhook_deliveries import (
    GET_WEBHOOK_STATE,
    LIST_DELIVERIES,
    RETRY_DELIVERIES,
    TEST_WEBHOOK,
    RetryDeliveries,
)
from contracts.webhooks import (
    PAUSE_WEBHOOK,
    PauseWebhook,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookSettings,
    new_secret,
)
from runtime.event_log import Append
from tests.ingest.conftest import World
from tests.ingest.conftest import _random as random_id
from tests.support.eventually import eventually
from tests.support.receiver import Call

TOLERANCE_S = 300


def verified(secret: str, call: Call, *, now: float | None = None) -> bool:
    """What the specification has a receiver do ("Verifying signatures"), written from its text."""
    identifier, timestamp = call.headers["webhook-id"], call.headers["webhook-timestamp"]
    if "." in identifier or abs((now or time.time()) - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret[len("whsec_") :], validate=True)
    assert 24 <= len(key) <= 64
    signed = b".".join((identifier.encode(), timestamp.encode(), call.body))
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    versions = [each.split(",", 1) for each in call.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(held, wanted) for version, held in versions)


class Hooks:
    """Of one organization."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.secrets: dict[str, list[str]] = {}  # by webhook, the newest first
        self._references: dict[str, dict[str, str]] = {}

    @property
    def organization(self) -> str:
        return self.world.organization

    def _reference(self, value: str) -> str:
        reference = random_id("ref_")
        self.world.passwords[reference] = value
        return reference

    async def create(
        self, url: str, *events: str, headers: dict[str, str] | None = None, **settings: Any
    ) -> str:
        id = random_id("whk_")
        secret = new_secret().get_secret_value()
        self.secrets[id] = [secret]
        held = {"secret": self._reference(secret)}
        if headers:
            held["headers"] = self._reference(str(headers).replace("'", '"'))
        self._references[id] = held
        wanted = WebhookSettings(name=id, url=url, events=events or ("message",), **settings)
        await self.write(id, WebhookCreated(settings=wanted, headers=tuple(headers or ()), secrets=held))
        return id

    async def change(self, id: str, url: str, *events: str, **settings: Any) -> None:
        wanted = WebhookSettings(name=id, url=url, events=events or ("message",), **settings)
        await self.write(id, WebhookChanged(settings=wanted, secrets=self._references[id]))

    async def rotate(self, id: str, grace_s: float) -> None:
        secret = new_secret().get_secret_value()
        self.secrets[id].insert(0, secret)
        held = self._references[id]
        self._references[id] = {**held, "previous": held["secret"], "secret": self._reference(secret)}
        until = datetime.now(UTC) + timedelta(seconds=grace_s)
        await self.write(id, WebhookSecretRotated(secrets=self._references[id], previous_until=until))

    async def pause(self, id: str) -> None:
        await self.write(id, WebhookPaused(reason="person"))

    async def resume(self, id: str, *, skip_backlog: bool = False) -> None:
        await self.write(id, WebhookResumed(skip_backlog=skip_backlog))

    async def delete(self, id: str) -> None:
        await self.write(id, WebhookDeleted())

    async def write(self, id: str, event: Event) -> None:
        subject = subjects.registry(self.organization, "webhook", id)
        append = Append(subject, event, self.world._expected.get(subject, 0))
        done = await self.world._log.append([append], cause=Cause("test", "test"), now=datetime.now(UTC))
        self.world._expected[subject] = done[0].sequence

    async def serve_pauses(self) -> None:
        """As the credentials service answers; other organizations' are left to their own tests."""

        async def answer(message: Msg) -> None:
            asked = PauseWebhook.model_validate_json(message.data)
            if asked.organization == self.organization:
                await self.write(asked.id, WebhookPaused(reason=asked.reason, detail=asked.detail))
                view = {
                    "id": asked.id,
                    "name": "",
                    "url": "",
                    "events": [],
                    "created_at": "2026-01-01T00:00:00Z",
                }
                await message.respond(b'{"ok":' + json.dumps(view).encode() + b"}")

        await self.world._clients["credentials"].subscribe(PAUSE_WEBHOOK.subject, cb=answer)

    async def message(
        self,
        payload: str | bytes,
        device: str | None = "d1",
        source: str = "http",
        channel: str = "telemetry",
    ) -> int:
        """Stores a message; its sequence."""
        topic = f"{self.organization}/devices/{device}/{channel}" if device else f"plant/{channel}"
        headers = messages.headers(
            id=str(uuid7()), topic=topic, qos=1, retain=False, received=datetime.now(UTC), source=source
        )
        data = payload.encode() if isinstance(payload, str) else payload
        writer = self.world._clients["gateway" if source == "http" else "ingest"]
        subject = subjects.message(self.organization, source, device)
        return (await writer.jetstream().publish(subject, data, headers=headers)).seq

    async def activity(self, kind: str, **fields: Any) -> str:
        """Stores an activity event; its id."""
        return await self._event(
            "gateway", subjects.activity(self.organization, kind), ActivityRecorded(kind=kind, **fields)
        )

    async def alert(self, **fields: Any) -> str:
        id = f"alert_{'0' * 24}"
        about = {"rule_id": "r", "rule_name": "hot", "kind": "threshold", "severity": "critical"}
        opened = AlertOpened(**{**about, "summary": "too hot", "since": datetime.now(UTC), **fields})
        await self._event("telemetry", subjects.alert(self.organization, id), opened)
        return id

    async def _event(self, service: str, subject: str, event: Event) -> str:
        id = str(uuid7())
        cause = Cause("key:k", service)
        headers, data = envelope.encode(event, id=id, time=datetime.now(UTC), cause=cause)
        await self.world._clients[service].jetstream().publish(subject, data, headers=headers)
        return id

    async def state(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.world.call(GET_WEBHOOK_STATE, webhook=id))["ok"]
        return found

    async def deliveries(self, id: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.world.call(LIST_DELIVERIES, webhook=id, **query))["ok"][
            "items"
        ]
        return found

    async def test(self, id: str) -> dict[str, Any]:
        answered: dict[str, Any] = await self.world.call(TEST_WEBHOOK, webhook=id)
        return answered

    async def retry(self, id: str, delivery: str | None = None) -> int:
        found = await self.world.ask_link(RETRY_DELIVERIES, id, delivery=delivery)
        return int(found.retried)

    async def until_begun(self, id: str) -> None:
        """Somebody owns it."""

        async def owned() -> bool:
            call = RETRY_DELIVERIES.at(self.organization, id)
            asked = RetryDeliveries(
                organization=self.organization, actor="t", integration=id, delivery="none"
            )
            reply = await self.world._clients["gateway"].request(
                call.subject, asked.model_dump_json().encode(), timeout=5
            )
            return b"not_found" in reply.data or b"webhook.paused" in reply.data

        async def found() -> bool:
            try:
                return await owned()
            except nats.errors.Error:
                return False

        await eventually(found, timeout_s=60)


@asynccontextmanager
async def hooks_of(world: World) -> AsyncIterator[Hooks]:
    hooks = Hooks(world)
    await hooks.serve_pauses()
    yield hooks
