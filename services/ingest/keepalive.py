"""A quiet connection is kept, and a dead one is noticed (MQTT 3.1.1 §3.1.2.10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PONG_S = 10.0  # whoever says nothing for so long after a PINGREQ is gone


class Keepalive:
    """Pings at three quarters of the interval where nothing was sent or nothing came."""

    def __init__(self, interval_s: float, ping: Callable[[], None], dead: Callable[[str], None]) -> None:
        self.interval_s, self._ping, self._dead = interval_s, ping, dead
        self._patience_s = min(interval_s, PONG_S)
        self._loop = asyncio.get_running_loop()
        self.heard_at = self.sent_at = self._loop.time()
        self._pinged_at: float | None = None
        self.listening = True  # while we read nothing, silence says nothing
        self._timer = self._loop.call_later(interval_s / 4, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._pinged_at is not None and (self.heard_at >= self._pinged_at or not self.listening):
            self._pinged_at = None
        if self._pinged_at is not None and now - self._pinged_at >= self._patience_s:
            self._dead(f"no answer to a ping within {self._patience_s:g} s")
            return
        quiet_since = min(self.heard_at, self.sent_at) if self.listening else self.sent_at
        if self._pinged_at is None and now - quiet_since >= 0.75 * self.interval_s:
            self._pinged_at = now
            self.sent_at = now
            self._ping()
        self._timer = self._loop.call_later(min(self.interval_s, self._patience_s) / 4, self._look)

    def stop(self) -> None:
        self._timer.cancel()
