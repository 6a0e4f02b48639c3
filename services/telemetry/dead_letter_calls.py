"""What people do with dead letters: each act is an event in DEADLETTERS, and done once the read model shows it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, select
from uuid_utils import uuid7

from contracts import envelope, subjects
from contracts.activity import ActivityRecorded
from contracts.dead_letter_calls import (
    AT_ONCE_MAX,
    IDS_MAX,
    ChooseDeadLetters,
    DeadLettersDiscarded,
    DeadLettersResolved,
    DiscardDeadLetters,
    Discarded,
)
from contracts.envelope import Cause
from contracts.failures import Refused
from runtime.activity import ActivityLog
from runtime.log_writer import MESSAGE_ID, LogWriter
from runtime.observe import with_trace
from services.telemetry.queries.dead_letters import wanted
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import dead_letters

NAME = "telemetry"
SHOWN_S = 5.0  # how long an answer waits for the read model; the event is in the log by then
LOOK_S = 0.02


class Chosen(NamedTuple):
    id: str
    source: str
    stream_created: str
    sequence: int


_CHOSEN = (
    dead_letters.c.id,
    dead_letters.c.source,
    dead_letters.c.stream_created,
    dead_letters.c.sequence,
)


def _chosen(row: Row[Any]) -> Chosen:
    return Chosen(row.id, row.source, row.stream_created, row.sequence)


class DeadLetterCalls:
    def __init__(self, store: ReadStore, writer: LogWriter, activity: ActivityLog) -> None:
        self._store, self._writer, self._activity = store, writer, activity

    async def discard(self, request: DiscardDeadLetters) -> Discarded:
        """Raises Refused("not_found") when one of the ids is not the organization's."""
        chosen, more = await self.choose(request)
        await self.close(request, chosen, DeadLettersDiscarded)
        if chosen:
            event = ActivityRecorded(
                kind="dead-letters.discarded",
                summary=f"{len(chosen)} dead letters were discarded",
                details={"count": len(chosen)},
            )
            self._activity.note(request.organization, event, request.actor)
        return Discarded(discarded=len(chosen), more=more)

    async def choose(self, request: ChooseDeadLetters, most: int = AT_ONCE_MAX) -> tuple[list[Chosen], bool]:
        """The open ones among those that are meant, oldest first; whether others would match, too."""
        held = dead_letters.c
        if request.filter is not None:
            found = select(*_CHOSEN).where(and_(held.state == "open", *wanted(request.filter)))
            rows = await self._store.read(
                request.organization, found.order_by(held.received_at, held.sequence).limit(most + 1)
            )
            return [_chosen(row) for row in rows[:most]], len(rows) > most
        ids = set(request.ids)
        rows = await self._store.read(
            request.organization, select(*_CHOSEN, held.state).where(held.id.in_(ids))
        )
        if len(rows) < len(ids):
            raise Refused("not_found", "no such dead letter")
        return [_chosen(row) for row in rows if row.state == "open"], False

    async def close(
        self,
        request: ChooseDeadLetters,
        chosen: Sequence[Chosen],
        kind: type[DeadLettersDiscarded | DeadLettersResolved],
    ) -> None:
        """Returns when the read model shows it, or after `SHOWN_S`. Raises Unavailable("log.unavailable")."""
        if not chosen:
            return
        by_source: defaultdict[str, list[str]] = defaultdict(list)
        for one in chosen:
            by_source[one.source].append(one.id)
        cause = Cause(request.actor, NAME, request.command_id)
        written = []
        for source, ids in by_source.items():
            for start in range(0, len(ids), IDS_MAX):
                id = str(uuid7())
                event = kind(ids=tuple(ids[start : start + IDS_MAX]))
                headers, data = envelope.encode(event, id=id, time=datetime.now(UTC), cause=cause)
                headers[MESSAGE_ID] = id
                with_trace(headers)
                subject = subjects.deadletter(request.organization, source)
                written.append(self._writer.write(subject, headers, data))
        await asyncio.gather(*written)
        await self._shown(request.organization, [one.id for one in chosen])

    async def _shown(self, organization: str, ids: list[str]) -> None:
        held = dead_letters.c
        still_open = select(held.id).where(held.id.in_(ids[-IDS_MAX:]), held.state == "open").limit(1)
        patience = asyncio.get_running_loop().time() + SHOWN_S
        while await self._store.read(organization, still_open):
            if asyncio.get_running_loop().time() > patience:
                return
            await asyncio.sleep(LOOK_S)
