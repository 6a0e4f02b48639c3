"""The recipe of every command: seen already? read, decide, append with the expected sequence, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

from contracts.calls import AnswerT, Call, Request, RequestT
from contracts.envelope import Cause, Recorded
from contracts.failures import Refused
from runtime import rpc
from runtime.event_log import Append, EventLog
from services.credentials.directory import Directory
from services.credentials.plans import Plan, Plans

SOURCE = "credentials"
ATTEMPTS = 5  # somebody else wrote in between: read again, decide again
CONFLICT_PAUSE_S = 0.05  # a replica of the log that lags behind catches up meanwhile


@dataclass(frozen=True, slots=True)
class Draft(Generic[AnswerT]):
    """What was decided; `appends` is empty where all is so already."""

    appends: tuple[Append, ...]
    answer: AnswerT


Decide = Callable[[datetime], Awaitable[Draft[AnswerT]]]
Prepare = Callable[[Plan], Awaitable[None]]


async def nothing(_: Plan) -> None:
    """Most events need nothing beside them."""


class Commands:
    """Carries commands out: once each, however often they are sent, and visible when answered."""

    def __init__(self, log: EventLog, directory: Directory, plans: Plans) -> None:
        self._log, self._directory, self._plans = log, directory, plans

    async def run(
        self,
        call: Call[RequestT, AnswerT],
        request: Request,
        decide: Decide[AnswerT],
        prepare: Prepare = nothing,
    ) -> AnswerT:
        """`prepare` stores what the events refer to; it may be called again with the same plan."""
        command = self._plans.command_hash(request)
        plan = await self._plans.find(call.subject, request) if command else None
        for attempt in range(1, ATTEMPTS + 1):
            if plan is None:
                plan = await self._plan(call, request, decide)
            try:
                await prepare(plan)
                sequence = await self._append(plan, Cause(request.actor, SOURCE, command))
            except Refused as refused:
                if refused.code != "conflict":
                    raise
                stored = await self._stored(plan, command)
                if stored is None and attempt == ATTEMPTS:
                    raise
                if stored is None:
                    await asyncio.sleep(CONFLICT_PAUSE_S)
                    plan = await self._plan(call, request, decide, instead_of=plan)
                    continue
                sequence = stored.sequence
            await self._directory.applied(sequence)
            return call.answer.model_validate_json(plan.answer)
        raise Refused("conflict", "the entity is being changed; try again")

    async def _plan(
        self,
        call: Call[RequestT, AnswerT],
        request: Request,
        decide: Decide[AnswerT],
        instead_of: Plan | None = None,
    ) -> Plan:
        now = datetime.now(UTC)
        draft = await decide(now)
        plan = Plan(now, draft.appends, rpc.encode(draft.answer))
        if request.command_id is None or not draft.appends:
            return plan
        expected = instead_of.revision if instead_of else 0
        return await self._plans.keep(call.subject, request, plan, expected=expected)

    async def _append(self, plan: Plan, cause: Cause) -> int:
        """The sequence of the last event."""
        if not plan.appends:
            return 0
        recorded = await self._log.append(plan.appends, cause=cause, now=plan.at)
        return recorded[-1].sequence

    async def _stored(self, plan: Plan, command: str | None) -> Recorded | None:
        """The last event of this plan, when an earlier try has appended it."""
        if command is None:
            return None
        events = await self._log.read(plan.appends[-1].subject)
        return next((event for event in events if event.command_id == command), None)
