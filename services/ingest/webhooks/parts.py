"""What all webhooks of a process share."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from contracts.activity import ActivityRecorded, Status
from runtime.activity import ActivityLog
from runtime.bus import Bus
from services.ingest.links import Key
from services.ingest.webhooks.http import Client

CALLS_MAX = 500  # under way in one process: sockets, and bodies in memory
CALLS_OF_ORGANIZATION_MAX = 32  # so that nobody's slow receivers take all the places


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings; times in seconds."""

    schedule: tuple[float, ...]
    pause_after_s: float
    probe_s: float
    calls_per_s: float


@dataclass
class Parts:
    bus: Bus
    client: Client
    activity: ActivityLog
    rules: Rules
    random: Callable[[], float] = random.random
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_MAX))
    _by_organization: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _users: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def place(self, organization: str) -> AsyncIterator[None]:
        """One of the places for calls."""
        self._users[organization] += 1
        own = self._by_organization.setdefault(organization, asyncio.Semaphore(CALLS_OF_ORGANIZATION_MAX))
        try:
            async with own, self._places:
                yield
        finally:
            self._users[organization] -= 1
            if not self._users[organization]:
                del self._users[organization], self._by_organization[organization]

    def note(
        self, key: Key, kind: str, status: Status, summary: str, code: str | None, details: dict[str, Any]
    ) -> None:
        event = ActivityRecorded(
            kind=kind,
            status=status,
            summary=summary,
            subject=f"webhook:{key.integration}",
            reason=code,
            details=details,
        )
        self.activity.note(key.organization, event, "ingest")
