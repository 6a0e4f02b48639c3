"""Publishes in the activity: the first ones of a minute each, then their number; of what fails, each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple

from contracts.activity import ActivityRecorded
from runtime.activity import ActivityLog

FIRST = 10  # of a minute, for each integration and actor
WINDOW_S = 60.0
KEYS_MAX = 10_000  # beyond, each is an entry of its own: nothing is left out


class _Who(NamedTuple):
    organization: str
    integration: str
    actor: str


@dataclass(slots=True)
class _Window:
    ends: float
    said: int = 0
    entries: int = 0  # left out
    messages: int = 0


class PublishNotes:
    """`run()` is its task."""

    def __init__(self, activity: ActivityLog) -> None:
        self._activity = activity
        self._windows: dict[_Who, _Window] = {}

    def note(
        self, organization: str, integration: str, actor: str, event: ActivityRecorded, messages: int = 1
    ) -> None:
        if event.status == "ok" and not self._first(_Who(organization, integration, actor), messages):
            return
        self._activity.note(organization, event, actor)

    def _first(self, who: _Who, messages: int) -> bool:
        window = self._windows.get(who)
        if window is None:
            if len(self._windows) >= KEYS_MAX:
                return True
            window = self._windows[who] = _Window(time.monotonic() + WINDOW_S)
        if window.said < FIRST:
            window.said += 1
            return True
        window.entries += 1
        window.messages += messages
        return False

    async def run(self) -> None:
        """Until cancelled, and then of the minutes under way."""
        try:
            while True:
                await asyncio.sleep(1.0)
                self.close(time.monotonic())
        finally:
            self.close(float("inf"))

    def close(self, now: float) -> None:
        """Says what was left out of the windows that end by then."""
        for who in [who for who, window in self._windows.items() if window.ends <= now]:
            window = self._windows.pop(who)
            if window.entries:
                event = ActivityRecorded(
                    kind="publish.ok",
                    summary=f"{window.messages} more messages within a minute",
                    subject=f"integration:{who.integration}",
                    details={"publishes": window.entries, "messages": window.messages},
                )
                self._activity.note(who.organization, event, who.actor)
