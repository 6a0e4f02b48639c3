"""Publishing out, one message or many at once: over a link's own connection, or to the hosted broker."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from contracts.activity import ActivityRecorded
from contracts.broker_topics import check_publish
from contracts.failures import Failure, Unavailable
from contracts.links import LinkRequest
from contracts.publishing import (
    BatchPublished,
    Message,
    Outcome,
    Publish,
    PublishBatch,
    Published,
    PublishFailure,
)
from contracts.subjects import HOSTED
from services.ingest import metrics
from services.ingest.link import Link
from services.ingest.links import Key
from services.ingest.manager import Manager
from services.ingest.publish_hosted import HostedConnection, hosted_topic
from services.ingest.publish_notes import PublishNotes
from services.ingest.session import Session

FAILURES_SAID = 10  # of a batch, one by one in its activity; the others are counted


class Publisher:
    """Answers the calls of `contracts.publishing`; what becomes of them is in the activity."""

    def __init__(self, manager: Manager, hosted: HostedConnection, notes: PublishNotes) -> None:
        self._manager, self._hosted, self._notes = manager, hosted, notes

    async def publish(self, request: Publish) -> Published:
        """Raises Refused("topic.invalid"), ("topic.forbidden"), ("payload.too_large"), ("broker.refused"),
        Unavailable("link.down"), ("broker.timeout")."""
        begun = time.monotonic()
        failed: Failure | None = None
        try:
            remark = await self._send(request, request.message)
        except Failure as failure:
            failed = failure
            raise
        finally:
            duration_ms = _since(begun)
            self._note(request, failed, duration_ms)
        return Published(acknowledged=request.message.qos > 0, remark=remark, duration_ms=duration_ms)

    async def publish_batch(self, request: PublishBatch) -> BatchPublished:
        """Written in their order, without waiting for each other; what fails is told of each by itself.

        Raises Unavailable("link.down") where there is no connection at all.
        """
        begun = time.monotonic()
        self._session(request)
        sending = [asyncio.create_task(self._outcome(request, message)) for message in request.messages]
        outcomes = tuple(await asyncio.gather(*sending))
        duration_ms = _since(begun)
        self._note_batch(request, outcomes, duration_ms)
        return BatchPublished(outcomes=outcomes, duration_ms=duration_ms)

    async def _outcome(self, request: PublishBatch, message: Message) -> Outcome:
        try:
            remark = await self._send(request, message)
        except Failure as failure:
            said = PublishFailure(code=failure.code, detail=failure.detail, field=failure.field)
            return Outcome(failure=said)
        return Outcome(acknowledged=message.qos > 0, remark=remark)

    async def _send(self, request: LinkRequest, message: Message) -> str | None:
        """What the broker remarked. Nothing is awaited before it is written: order is kept."""
        payload = message.payload_bytes()
        link = self._link(request)
        if request.integration == HOSTED:
            topic = hosted_topic(request.organization, message.topic)
        else:
            topic = message.topic
            if link is not None:
                check_publish(link.wanted.settings, topic, message.qos)
        session = self._session(request)
        remark = await session.publish(topic, payload, qos=message.qos, retain=message.retain)
        if link is not None:
            link.flow.tally.sent(time.time())
        return remark

    def _link(self, request: LinkRequest) -> Link | None:
        if request.integration == HOSTED:
            return None
        return self._manager.link(Key(request.organization, request.integration))

    def _session(self, request: LinkRequest) -> Session:
        link = self._link(request)
        session = self._hosted.session if request.integration == HOSTED else link.session if link else None
        if session is None:
            raise Unavailable("link.down", "the integration is not connected to its broker at the moment")
        return session

    def _note(self, request: Publish, failed: Failure | None, duration_ms: float) -> None:
        metrics.published.add(1, {"outcome": failed.code if failed else "ok"})
        message = request.message
        event = ActivityRecorded(
            kind="publish.failed" if failed else "publish.ok",
            status="failed" if failed else "ok",
            summary=f"{message.topic}: {failed.detail}" if failed else message.topic,
            subject=f"integration:{request.integration}",
            reason=failed.code if failed else None,
            duration_ms=duration_ms,
            details={"qos": message.qos, "retain": message.retain},
        )
        self._notes.note(request.organization, request.integration, request.actor, event)

    def _note_batch(self, request: PublishBatch, outcomes: tuple[Outcome, ...], duration_ms: float) -> None:
        failures = [
            (message.topic, outcome.failure)
            for message, outcome in zip(request.messages, outcomes, strict=True)
            if outcome.failure is not None
        ]
        counts = Counter(failure.code for _, failure in failures)
        for outcome in outcomes:
            metrics.published.add(1, {"outcome": outcome.failure.code if outcome.failure else "ok"})
        event = ActivityRecorded(
            kind="publish.failed" if failures else "publish.ok",
            status="failed" if failures else "ok",
            summary=f"{len(outcomes)} messages, {len(failures)} failed",
            subject=f"integration:{request.integration}",
            reason=counts.most_common(1)[0][0] if counts else None,
            duration_ms=duration_ms,
            details={
                "messages": len(outcomes),
                "failed": dict(counts),
                "failures": [
                    {"topic": topic[:256], "code": failure.code, "detail": failure.detail[:256]}
                    for topic, failure in failures[:FAILURES_SAID]
                ],
            },
        )
        self._notes.note(
            request.organization, request.integration, request.actor, event, messages=len(outcomes)
        )


def _since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
