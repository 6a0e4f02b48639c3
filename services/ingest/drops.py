"""Messages that could not be stored: counted at once, and said to their organization every few seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from contracts.activity import ActivityRecorded
from contracts.failures import CODES
from runtime.activity import ActivityLog
from services.ingest import metrics

SAID_EVERY_S = 5.0


class _What(NamedTuple):
    organization: str
    integration: str
    kind: str
    reason: str


class Drops:
    """`run()` is its task: a flood is one entry in the activity every few seconds, with its number."""

    def __init__(self, activity: ActivityLog) -> None:
        self._activity = activity
        self._unsaid: Counter[_What] = Counter()

    def add(self, organization: str, integration: str, *, kind: str, reason: str) -> None:
        """One more; `reason` is a failure's code."""
        self._unsaid[_What(organization, integration, kind, reason)] += 1

    async def run(self) -> None:
        try:
            while True:
                await asyncio.sleep(SAID_EVERY_S)
                self._say()
        finally:
            self._say()

    def _say(self) -> None:
        for what, number in self._unsaid.items():
            metrics.dropped.add(number, {"kind": what.kind, "reason": what.reason})
            event = ActivityRecorded(
                kind=what.kind,
                status="failed",
                summary=f"{number} messages were not stored: {CODES[what.reason].title}",
                subject=f"integration:{what.integration}",
                reason=what.reason,
                details={"dropped": number},
            )
            self._activity.note(what.organization, event, "ingest")
        self._unsaid.clear()
