"""What is answered of webhooks: how one is doing, its calls, a test, a retry."""

from __future__ import annotations

import base64
import os
from collections import Counter
from datetime import UTC, datetime
from typing import Literal

import msgspec

from contracts.calls import Nothing, Page
from contracts.failures import Refused, Unavailable
from contracts.webhook_deliveries import (
    CheckUrl,
    DeliveriesRetried,
    DeliveryRecord,
    GetWebhookState,
    ListDeliveries,
    RetryDeliveries,
    TestWebhook,
    WebhookDelivery,
    WebhookState,
    WebhookTested,
)
from services.ingest import secrets
from services.ingest.keeper import Keeper
from services.ingest.links import Key
from services.ingest.webhooks import store
from services.ingest.webhooks.calling import made_headers, split
from services.ingest.webhooks.http import Caller
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.wanted import Wanted
from services.ingest.webhooks.worker import Worker

TESTS_MAX = 4  # of an organization at once in one process


class WebhookAnswers:
    def __init__(self, parts: Parts, webhooks: Keeper[Wanted, Worker]) -> None:
        self._parts, self._webhooks = parts, webhooks
        self._testing: Counter[str] = Counter()

    async def check(self, request: CheckUrl) -> Nothing:
        """Raises Refused("address.forbidden"), ("webhook.insecure"); Unavailable for a name that is not there."""
        await self._parts.client.check(request.url)
        return Nothing()

    async def state(self, request: GetWebhookState) -> WebhookState:
        """As its owner kept it at most some seconds ago."""
        held = (await store.read(self._parts.bus.client, Key(request.organization, request.webhook))).standing
        how: Literal["failing", "healthy"] = "failing" if held.failures else "healthy"
        return WebhookState(
            state=how if request.paused is None else "paused",
            paused=request.paused,
            behind={source: place.pending for source, place in held.places.items()},
            **held.model_dump(include=set(WebhookState.model_fields) - {"state", "paused", "behind"}),
        )

    async def deliveries(self, request: ListDeliveries) -> Page[WebhookDelivery]:
        kept = await store.read(self._parts.bus.client, Key(request.organization, request.webhook))
        newest = {record.number: record for _, record in sorted(kept.records, key=_changed)}
        before = _number(request.cursor)
        found = [
            newest[number]
            for number in sorted(newest, reverse=True)
            if (before is None or number < before) and request.state in (None, newest[number].state)
        ]
        page = found[: request.limit]
        cursor = _cursor(page[-1].number) if len(found) > len(page) else None
        return Page(items=[_shown(record) for record in page], next_cursor=cursor)

    async def retry(self, request: RetryDeliveries) -> DeliveriesRetried:
        """To its owner. Raises Refused("not_found"), ("webhook.paused")."""
        key = Key(request.organization, request.integration)
        worker = self._webhooks.ours(key)
        attempts = worker.attempts if worker is not None else None
        if worker is None or attempts is None:
            raise Unavailable("service.unavailable", "the webhook is being taken over; try again")
        if worker.wanted.paused:
            raise Refused("webhook.paused", "resume it first")
        kept = await store.read(self._parts.bus.client, key)
        begun = attempts.retry(kept.records, request.delivery)
        return DeliveriesRetried(retried=len(begun))

    async def test(self, request: TestWebhook) -> WebhookTested:
        """Raises Refused("not_found"), ("limit.reached"), and what reading a secret raises."""
        organization = request.organization
        if self._testing[organization] >= TESTS_MAX:
            detail = f"{TESTS_MAX} tests are under way; try again when one has ended"
            raise Refused("limit.reached", detail)
        self._testing[organization] += 1
        try:
            return await self._test(request)
        finally:
            self._testing[organization] -= 1
            self._testing += Counter()  # drops the zeros

    async def _test(self, request: TestWebhook) -> WebhookTested:
        key = Key(request.organization, request.webhook)
        wanted = await self._webhooks.wanted(key)
        now = datetime.now(UTC)
        held = await secrets.read(self._parts.bus, key, wanted.holding(now))
        own, signing = split(held)
        said = {"webhook_id": key.integration, "name": wanted.settings.name}
        body = msgspec.json.encode({"type": "webhook.test", "timestamp": now, "data": said})
        headers = made_headers(signing, f"test_{os.urandom(12).hex()}", body)
        caller = Caller(self._parts.client, wanted.settings.url)
        try:
            sent = await caller.send({**own, **headers}, body)
        finally:
            await caller.close()
        outcome = sent.outcome
        return WebhookTested(
            ok=outcome.code is None,
            url=wanted.settings.url,
            headers={**dict.fromkeys(own, "(not shown)"), **headers},
            body=body.decode(),
            duration_ms=outcome.duration_ms,
            status=outcome.status,
            answer=sent.answer.decode(errors="replace") if outcome.status is not None else None,
            step=sent.step,
            code=outcome.code,
            detail=outcome.detail,
        )


def _changed(entry: tuple[str, DeliveryRecord]) -> tuple[int, int]:
    """A call that was dead stands in two slots: the one that went on later counts."""
    slot, record = entry
    return record.attempts, int(slot.startswith("d"))


def _shown(record: DeliveryRecord) -> WebhookDelivery:
    last = record.last
    return WebhookDelivery(
        id=record.id,
        type=record.type,
        state=record.state,
        device_id=record.device_id,
        messages=len(record.sequences) if record.source == "MESSAGES" else None,
        planned_at=record.planned_at,
        attempts=record.attempts,
        next_attempt_at=record.next_at,
        last_attempt_at=last.at if last else None,
        status=last.status if last else None,
        duration_ms=last.duration_ms if last else None,
        code=last.code if last else None,
        detail=last.detail if last else "",
    )


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(b"before:%d" % number).decode()


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        word, _, number = base64.b64decode(cursor, altchars=b"-_", validate=True).partition(b":")
        if word == b"before" and number.isdigit() and len(number) < 19:
            return int(number)
    except ValueError:
        pass
    raise Refused("cursor.invalid", "take `next_cursor` of the page before as it is", field="cursor")
