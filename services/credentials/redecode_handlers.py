"""Orders to decode history again: kept here for whoever reads it later; telemetry carries them out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from contracts import subjects
from contracts.calls import Nothing
from contracts.decoders.choice import checked
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.integrations import HOSTED
from contracts.redecode import (
    END_REDECODE,
    ORDER_REDECODE,
    ORDER_RETRY,
    RETRIES_MAX,
    EndRedecode,
    OrderRedecode,
    OrderRetry,
    RedecodeEnded,
    RedecodeOrder,
    RedecodeOrdered,
    RetryOrdered,
    span,
)
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.ids import new_id
from services.credentials.states.integration import Redecode


def decide_order(command: OrderRedecode, now: datetime) -> RedecodeOrdered:
    """Pure. What is still to come is decoded as the integration says."""
    end = now if command.end is None else min(command.end, now)
    if command.start >= end:
        raise Refused("request.invalid", "it must lie before `to`, and before now", field="from")
    checked(command.decoder)
    return RedecodeOrdered(
        integration=command.integration, start=command.start, end=end, decoder=command.decoder
    )


def decide_end(command: EndRedecode, held: Redecode) -> list[Event]:
    match held.status:
        case "absent":
            raise Refused("not_found")
        case "ended":
            return []
        case _:
            return [RedecodeEnded(outcome=command.outcome, through_ns=command.through_ns)]


class RedecodeHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry
        self._table = registry.directory.redecodes
        # One at a time for each organization: of two orders in the same moment, one is refused.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def order(self, request: OrderRedecode) -> RedecodeOrder:
        async def decide(now: datetime) -> Draft[RedecodeOrder]:
            organization = request.organization
            await self._registry.require_organization(organization)
            await self._registry.directory.catch_up()  # another replica may have taken an order
            self._require_integration(organization, request.integration)
            held = self._table.by_organization.get(organization, [])
            if any(entry.state.status == "active" and not entry.state.retry for entry in held):
                raise Refused("redecode.running", "an earlier one has not ended: wait for it, or cancel it")
            event, id = decide_order(request, now), new_id("redec")
            answer = RedecodeOrder(id=id, **event.model_dump())
            return Draft((Append(subjects.registry(organization, "redecode", id), event, 0),), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(ORDER_REDECODE, request, decide)

    async def retry(self, request: OrderRetry) -> RedecodeOrder:
        """Beside whatever else runs: these are few. Refused("limit.reached") where too many have not ended."""

        async def decide(_: datetime) -> Draft[RedecodeOrder]:
            organization = request.organization
            await self._registry.require_organization(organization)
            held = self._table.by_organization.get(organization, [])
            if sum(entry.state.status == "active" and entry.state.retry for entry in held) >= RETRIES_MAX:
                raise Refused("limit.reached", f"{RETRIES_MAX} retries have not ended yet: try again")
            checked(request.decoder)
            event = RetryOrdered(
                integration=request.integration, messages=request.messages, decoder=request.decoder
            )
            id = new_id("redec")
            start, end = span(request.messages)
            answer = RedecodeOrder(
                id=id, integration=request.integration, start=start, end=end, decoder=request.decoder
            )
            return Draft((Append(subjects.registry(organization, "redecode", id), event, 0),), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(ORDER_RETRY, request, decide)

    async def end(self, request: EndRedecode) -> Nothing:
        async def decide(_: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._registry.load(
                self._table, "redecode", request.organization, request.id
            )
            return Draft(
                tuple(Append(subject, event, last) for event in decide_end(request, state)), Nothing()
            )

        return await self._commands.run(END_REDECODE, request, decide)

    def _require_integration(self, organization: str, id: str) -> None:
        if id == HOSTED:
            return
        entry = self._registry.directory.integrations.get(organization, id)
        if entry is None or entry.state.status != "active":
            raise Refused("not_found", "no such integration", field="integration_id")
