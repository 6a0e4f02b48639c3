"""The event log: one subject per entity, appended to with its expected last sequence: of two writers, one wins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from uuid_utils import uuid7

from contracts import envelope, upcasts
from contracts.envelope import Cause, Event, Recorded
from contracts.failures import Refused, Unavailable
from runtime import jetstream
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError
from runtime.observe import traceparent, with_trace

EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_LAST_SUBJECT = (
    "Nats-Expected-Last-Subject-Sequence-Subject"  # whose last, where not the message's own
)
BATCH_ID, BATCH_SEQUENCE, BATCH_COMMIT = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"
EVENTS_PER_READ = 1000


@dataclass(frozen=True, slots=True)
class Append:
    """An event for a subject whose last sequence is `expected` (0: the subject is new)."""

    subject: str
    event: Event
    expected: int


class EventLog:
    """A stream of entities' events."""

    def __init__(
        self, client: Client, stream: str, *, ack_timeout_s: float = 2.0, patience_s: float = 10.0
    ) -> None:
        self._client = client
        self._stream = stream
        self._ack_timeout_s = ack_timeout_s
        self._patience_s = patience_s

    async def read(self, subject: str) -> list[Recorded]:
        """All events of an entity, oldest first; events of unknown (newer) types are left out."""
        found: list[Recorded] = []
        start = 1
        while True:
            messages = await self._get_batch(subject, start)
            for message in messages:
                headers = message.headers or {}
                start = int(headers["Nats-Sequence"]) + 1
                if event := upcasts.decode(headers, message.data, subject=subject, sequence=start - 1):
                    found.append(event)
            if len(messages) < EVENTS_PER_READ:
                return found

    async def _get_batch(self, subject: str, start: int) -> list[Msg]:
        query = {"seq": start, "next_by_subj": subject, "batch": EVENTS_PER_READ}
        return await jetstream.direct_batch(self._client, self._stream, query, timeout_s=self._ack_timeout_s)

    async def append(self, appends: Sequence[Append], *, cause: Cause, now: datetime) -> list[Recorded]:
        """Appends all or none of these events, at most one per subject.

        Raises Refused("conflict") when a subject has moved on, Unavailable when the log does not answer in
        time. A lost acknowledgement is retried: the same event is never in the log twice.
        """
        recorded = [
            Recorded(a.event, str(uuid7()), now, cause.actor, a.subject, 0, cause.command_id, traceparent())
            for a in appends
        ]
        encoded = [
            envelope.encode(a.event, id=r.id, time=now, cause=cause)
            for a, r in zip(appends, recorded, strict=True)
        ]
        for (headers, _), append in zip(encoded, appends, strict=True):
            headers[EXPECTED_LAST] = str(append.expected)
            with_trace(headers)
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while True:
            try:
                last = await self._send(appends, encoded)
                break
            except ApiError as error:
                if error.code not in WRONG_LAST_SEQUENCE:
                    raise Unavailable("log.unavailable", str(error)) from error
                # Checked before de-duplication: this may be our own event, whose acknowledgement was lost.
                stored = await self._last(appends[-1].subject)
                if stored is None or stored[0] != recorded[-1].id:
                    raise Refused(
                        "conflict", "the entity was changed in the meantime; read it again"
                    ) from error
                last = stored[1]
                break
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)
        first = last - len(recorded) + 1
        return [replace(r, sequence=first + i) for i, r in enumerate(recorded)]

    async def _send(self, appends: Sequence[Append], encoded: list[tuple[dict[str, str], bytes]]) -> int:
        """The sequence of the last event stored."""
        batch = str(uuid7())
        for number, (append, (headers, data)) in enumerate(zip(appends, encoded, strict=True), 1):
            if len(appends) > 1:
                headers |= {BATCH_ID: batch, BATCH_SEQUENCE: str(number)}
            if number < len(appends):
                await self._client.publish(append.subject, data, headers=headers)
        if len(appends) > 1:
            headers |= {BATCH_COMMIT: "1"}
        answer = await jetstream.request(
            self._client, appends[-1].subject, data, headers=headers, timeout_s=self._ack_timeout_s
        )
        return int(answer["seq"])

    async def _last(self, subject: str) -> tuple[str, int] | None:
        """Id and sequence of the last event of a subject."""
        try:
            message = await self._client.request(
                f"$JS.API.DIRECT.GET.{self._stream}.{subject}", b"", timeout=self._ack_timeout_s
            )
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable("log.unavailable", f"reading {subject}: {error!r}") from error
        headers = message.headers or {}
        if headers.get("Status") == "404":
            return None
        return headers.get(envelope.ID, ""), int(headers["Nats-Sequence"])
