"""Dead letters decoded once more: each retry is an order in the REGISTRY, so that a rebuild gives the same readings."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nats.aio.client import Client
from sqlalchemy import Select, func, select

from contracts.activity import ActivityRecorded
from contracts.dead_letter_calls import Retried, RetryDeadLetters
from contracts.redecode import RETRY_MAX, OrderRetry, RedecodeOrder
from contracts.streams import MESSAGES
from contracts.subjects import HOSTED, HTTP
from runtime import jetstream
from runtime.activity import ActivityLog
from services.telemetry import parting
from services.telemetry.dead_letter_calls import Chosen, DeadLetterCalls
from services.telemetry.directory import Directory
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import redecodes

DONE_S = 8.0  # how long an answer waits for the job; whoever wants to know later asks for the job
LOOK_S = 0.05
AT_ONCE = 50  # messages asked of the log at the same time
_ENDED = ("done", "cancelled", "failed")

Order = Callable[[OrderRetry], Awaitable[RedecodeOrder]]


class DeadLetterRetry:
    def __init__(
        self,
        client: Client,
        store: ReadStore,
        letters: DeadLetterCalls,
        directory: Directory,
        order: Order,
        activity: ActivityLog,
    ) -> None:
        self._client, self._store, self._letters = client, store, letters
        self._directory, self._order, self._activity = directory, order, activity

    async def retry(self, request: RetryDeadLetters) -> Retried:
        """Raises Refused("not_found") for another's id, Refused("limit.reached"), Unavailable."""
        chosen, more = await self._letters.choose(request, RETRY_MAX)
        found = await self._messages(chosen)
        jobs = []
        for integration, messages in found.items():
            order = OrderRetry(
                organization=request.organization,
                actor=request.actor,
                command_id=None if request.command_id is None else f"{request.command_id}-{integration}",
                integration=integration,
                messages=tuple(sorted(messages)),
                decoder=self._directory.now(request.organization, integration),
            )
            jobs.append((await self._order(order)).id)
        finished, resolved = await self._done(request.organization, jobs)
        here = sum(len(messages) for messages in found.values())
        if jobs:
            event = ActivityRecorded(
                kind="dead-letters.retried",
                summary=f"{here} dead letters were decoded once more, {resolved} of them resolved so far",
                details={"count": here, "resolved": resolved, "jobs": jobs},
            )
            self._activity.note(request.organization, event, request.actor)
        return Retried(
            chosen=len(chosen),
            resolved=resolved,
            gone=len(chosen) - here,
            finished=finished,
            jobs=jobs,
            more=more,
        )

    async def _messages(self, chosen: Sequence[Chosen]) -> dict[str, list[tuple[int, int]]]:
        """Per integration, of those that the log still holds: the sequence, and when it was stored."""
        if not chosen:
            return {}
        created = (await jetstream.stream_state(self._client, MESSAGES.name)).created
        held: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        here = [one for one in chosen if one.stream_created == created]
        for start in range(0, len(here), AT_ONCE):
            some = here[start : start + AT_ONCE]
            found = await asyncio.gather(
                *(parting.at(self._client, MESSAGES.name, one.sequence) for one in some)
            )
            for one, message in zip(some, found, strict=True):
                if message is not None:
                    integration = HOSTED if one.source == HTTP else one.source
                    held[integration].append((message.sequence, message.time_ns))
        return held

    async def _done(self, organization: str, jobs: list[str]) -> tuple[bool, int]:
        """Whether all have ended, and how many letters they resolved so far."""
        held = redecodes.c
        ended: Any = func.count().filter(held.state.in_(_ENDED))
        asked: Select[Any] = select(ended, func.coalesce(func.sum(held.resolved), 0)).where(held.id.in_(jobs))
        patience = asyncio.get_running_loop().time() + DONE_S
        while jobs:
            (row,) = await self._store.read(organization, asked)
            count, resolved = list(row)
            if count == len(jobs) or asyncio.get_running_loop().time() > patience:
                return count == len(jobs), int(resolved)
            await asyncio.sleep(LOOK_S)
        return True, 0
