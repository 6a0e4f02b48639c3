"""Dead letters in the activity: the first of a minute with its reason, then how many; each has its own row anyway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from contracts.activity import ActivityRecorded
from runtime.activity import ActivityLog
from services.telemetry.dead_letter_projection import Letter

WINDOW_S = 60.0
KEYS_MAX = 10_000
RECENT = timedelta(minutes=10)  # who reads old letters again has no news
SUMMARY_CHARS_MAX = 300
ACTOR = "telemetry"


class _What(NamedTuple):
    organization: str
    source: str
    reason: str


_OTHERS = _What("platform", "hosted", "internal")


class DeadLetterNotes:
    """`run()` is its task."""

    def __init__(self, activity: ActivityLog) -> None:
        self._activity = activity
        self._windows: dict[_What, list[float]] = {}  # its end, and how many were left out

    def note(self, letters: Iterable[Letter]) -> None:
        """Once they are stored."""
        since = datetime.now(UTC) - RECENT
        for letter in letters:
            if letter.received < since:
                continue
            what = _What(letter.organization, letter.source, letter.reason)
            if what not in self._windows and len(self._windows) >= KEYS_MAX:
                what = _OTHERS
            window = self._windows.get(what)
            if window is not None:
                window[1] += 1
                continue
            self._windows[what] = [time.monotonic() + WINDOW_S, 0]
            summary = f"{letter.topic}: {letter.detail}"[:SUMMARY_CHARS_MAX]
            self._say(what, summary, {"dead_letter_id": letter.id}, letter.device)

    def _say(self, what: _What, summary: str, details: dict[str, object], device: str | None = None) -> None:
        event = ActivityRecorded(
            kind="dead-letter.written",
            status="failed",
            summary=summary,
            subject=f"integration:{what.source}",
            device_id=device,
            reason=what.reason,
            details=details,
        )
        self._activity.note(what.organization, event, ACTOR)

    async def run(self) -> None:
        """Until cancelled, and then of the minutes under way."""
        try:
            while True:
                await asyncio.sleep(1.0)
                self.close(time.monotonic())
        finally:
            self.close(float("inf"))

    def close(self, now: float) -> None:
        for what in [what for what, (ends, _) in self._windows.items() if ends <= now]:
            _, count = self._windows.pop(what)
            if count:
                summary = f"{int(count)} more messages could not be decoded within a minute"
                self._say(what, summary, {"count": int(count)})
