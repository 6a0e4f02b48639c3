"""A quiet connection is kept, and a dead one is noticed (MQTT 3.1.1 §3.1.2.10)."""

from __future__ import annotations

import asyncio

from services.ingest.wire import Wire

PONG_S = 10.0  # whoever says nothing for so long after a PINGREQ is gone


class Keepalive:
    """Pings at three quarters of the interval where nothing was sent or nothing came."""

    def __init__(self, interval_s: float, wire: Wire, ping: bytes) -> None:
        self.interval_s, self._wire, self._ping = interval_s, wire, ping
        self._patience_s = min(interval_s, PONG_S)
        self._loop = asyncio.get_running_loop()
        self._pinged_at: float | None = None
        self._timer = self._loop.call_later(self._patience_s / 4, self._look)

    def _look(self) -> None:
        now, wire = self._loop.time(), self._wire
        self._timer = self._loop.call_later(min(self.interval_s, self._patience_s) / 4, self._look)
        if self._pinged_at is not None and (wire.heard_at >= self._pinged_at or not wire.listening):
            self._pinged_at = None  # while we read nothing, silence says nothing
        if self._pinged_at is not None:
            if now - self._pinged_at >= self._patience_s:
                wire.fail(f"no answer to a ping within {self._patience_s:g} s")
            return
        quiet_since = min(wire.heard_at, wire.sent_at) if wire.listening else wire.sent_at
        if now - quiet_since >= 0.75 * self.interval_s:
            self._pinged_at = now
            wire.send(self._ping)

    def stop(self) -> None:
        self._timer.cancel()
