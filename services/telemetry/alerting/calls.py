"""What people do with alerts: each act is an event of the alert, and done once the read model shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from contracts import alerts as contract
from contracts import subjects
from contracts.alerts import ALERT_ID, AcknowledgeAlert, Alert, ResolveAlert
from contracts.envelope import Cause, Recorded
from contracts.failures import Refused
from runtime.activity import ActivityLog
from runtime.event_log import Append, EventLog
from services.telemetry.alerting.outbox import SOURCE, entry
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import alerts

SHOWN_S = 5.0  # how long an answer waits for the read model; the event is in the log by then
LOOK_S = 0.02
ATTEMPTS = 5  # the rule says something at the same moment


class AlertCalls:
    def __init__(self, log: EventLog, store: ReadStore, activity: ActivityLog) -> None:
        self._log, self._store, self._activity = log, store, activity

    async def acknowledge(self, request: AcknowledgeAlert) -> Alert:
        return await self._act(request)

    async def resolve(self, request: ResolveAlert) -> Alert:
        return await self._act(request)

    async def _act(self, request: AcknowledgeAlert | ResolveAlert) -> Alert:
        if not ALERT_ID.fullmatch(request.id):
            raise Refused("not_found", "no such alert")
        subject = subjects.alert(request.organization, request.id)
        for attempt in range(1, ATTEMPTS + 1):
            history = await self._log.read(subject)
            held = contract.fold(request.id, history)
            events = contract.decide(request, held)
            if not events:
                assert held is not None
                return held
            try:
                return await self._append(request, subject, history, events[0])
            except Refused as refused:
                if refused.code != "conflict" or attempt == ATTEMPTS:
                    raise
        raise Refused("conflict", "the alert is being changed; try again")

    async def _append(
        self,
        request: AcknowledgeAlert | ResolveAlert,
        subject: str,
        history: Sequence[Recorded],
        event: contract.AlertEvent,
    ) -> Alert:
        cause = Cause(request.actor, SOURCE, request.command_id)
        append = Append(subject, event, history[-1].sequence)
        recorded = await self._log.append([append], cause=cause, now=datetime.now(UTC))
        noted = entry(request.id, event)
        self._activity.note(request.organization, noted, request.actor, id=recorded[0].id)
        after = contract.fold(request.id, [*history, *recorded])
        assert after is not None
        await self._shown(request.organization, after)
        return after

    async def _shown(self, organization: str, after: Alert) -> None:
        shows = select(alerts.c.id).where(alerts.c.id == after.id, alerts.c.state == after.state)
        patience = asyncio.get_running_loop().time() + SHOWN_S
        while not await self._store.read(organization, shows):
            if asyncio.get_running_loop().time() > patience:
                return
            await asyncio.sleep(LOOK_S)
