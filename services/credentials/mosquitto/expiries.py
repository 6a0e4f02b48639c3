"""When credentials expire: Mosquitto knows no time, so their clients are taken away then."""

from __future__ import annotations

import heapq
from datetime import datetime


class Expiries:
    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []

    def note(self, name: str, expires_at: datetime | None, now: datetime) -> None:
        """A time that has passed is no news any more."""
        if expires_at is not None and expires_at > now:
            heapq.heappush(self._heap, (expires_at, name))

    def due(self, now: datetime) -> list[str]:
        """Those whose time has come; each is told once."""
        names = []
        while self._heap and self._heap[0][0] <= now:
            names.append(heapq.heappop(self._heap)[1])
        return names

    def next_s(self, now: datetime) -> float:
        """Seconds until the next one."""
        return (self._heap[0][0] - now).total_seconds() if self._heap else float("inf")
