"""What happens to credentials by time alone: they expire, and a replaced secret's grace ends.

The broker ends most sessions by itself (their permission has an end); this records the expiry once, and has
the sessions looked at that began before the secret was replaced.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts.credentials import CredentialExpiryChanged, CredentialIssued, CredentialRotated
from contracts.envelope import Cause, Recorded
from contracts.failures import Failure, Refused
from contracts.organizations import PLATFORM
from contracts.subjects import Entity
from runtime.event_log import Append, EventLog
from runtime.observe import log
from services.credentials.commands import SOURCE
from services.credentials.directory import Directory
from services.credentials.handlers import Registry
from services.credentials.lifecycle import decide_expiry

_log = log(part="deadlines")
TICK_S = 0.25
AGAIN = timedelta(seconds=5)


class Deadlines:
    """`run()` is its task; a listener of the directory."""

    def __init__(self, registry: Registry, event_log: EventLog) -> None:
        self._registry, self._log = registry, event_log
        self._listeners: list[Callable[[str], None]] = []
        self._directory: Directory = registry.directory
        self._due: list[tuple[datetime, str, str]] = []

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, CredentialIssued | CredentialExpiryChanged) and event.expires_at is not None:
            heapq.heappush(self._due, (event.expires_at, entity.organization, entity.id))
        elif isinstance(event, CredentialRotated) and event.previous_until is not None:
            heapq.heappush(self._due, (event.previous_until, entity.organization, entity.id))

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Called with the id of a credential of which something has ended."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            if not self._directory.caught_up:
                continue
            now = datetime.now(UTC)
            while self._due and self._due[0][0] <= now:
                _, organization, id = heapq.heappop(self._due)
                for listener in self._listeners:
                    listener(id)
                try:
                    await self._record(organization, id)
                except Failure as failure:
                    _log.warning("an expiry cannot be recorded now", credential=id, error=failure.detail)
                    heapq.heappush(self._due, (now + AGAIN, organization, id))

    async def _record(self, organization: str, id: str) -> None:
        """Once, whichever replica does it."""
        now = datetime.now(UTC)
        entry = self._directory.credentials.get(organization, id)
        if entry is None or not decide_expiry(entry.state, now) or not self._directory.active(organization):
            return
        subject, state, last, _ = await self._registry.load(
            self._directory.credentials, "credential", organization, id
        )
        appends = [Append(subject, event, last) for event in decide_expiry(state, now)]
        if not appends:
            return
        try:
            await self._log.append(appends, cause=Cause(PLATFORM, SOURCE), now=now)
        except Refused as refused:
            if refused.code != "conflict":
                raise
            heapq.heappush(self._due, (now + AGAIN, organization, id))
