"""How a webhook is doing: counted, told where it changes, and the end of patience with it. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from contracts.activity import Status
from contracts.webhook_deliveries import DeliveryRecord, Outcome, Standing

TOLD_AFTER = 3  # failures in a row: a single one is no news
DEAD_TOLD_EVERY_S = 60.0

Note = Callable[[str, Status, str, str | None, dict[str, Any]], None]
"""Kind, status, summary, failure code, details."""


class Health:
    def __init__(self, standing: Standing, note: Note) -> None:
        self.standing, self._note = standing, note
        self._dead_told_at, self._dead_untold = float("-inf"), 0

    @property
    def failing(self) -> bool:
        """As far as others are concerned: it gets one call at a time."""
        return self.standing.failures >= TOLD_AFTER

    def update(self, **fields: Any) -> None:
        self.standing = self.standing.model_copy(update=fields)

    def after(self, record: DeliveryRecord, outcome: Outcome) -> bool:
        """Counts an attempt; whether it ends a time of failures."""
        held = self.standing
        if outcome.code is None:
            recovered = self.failing
            since = held.failing_since
            self.update(
                delivered=held.delivered + 1, failures=0, failing_since=None, last_success_at=outcome.at
            )
            if recovered and since is not None:
                self._note(
                    "webhook.recovered", "ok", f"failing since {since:%Y-%m-%d %H:%M:%S} UTC", None, {}
                )
            return recovered
        self.update(
            failed=held.failed + 1,
            failures=held.failures + 1,
            failing_since=held.failing_since or outcome.at,
            last_failure=outcome,
        )
        if self.standing.failures == TOLD_AFTER:
            self._note("webhook.failing", "failed", outcome.detail, outcome.code, {"status": outcome.status})
        if record.state == "dead":
            self.update(dead=self.standing.dead + 1)
            self._tell_dead(record, outcome)
        return False

    def _tell_dead(self, record: DeliveryRecord, outcome: Outcome) -> None:
        """Once a minute, with how many there were."""
        self._dead_untold += 1
        if time.monotonic() - self._dead_told_at < DEAD_TOLD_EVERY_S:
            return
        details = {"delivery": record.id, "type": record.type, "count": self._dead_untold}
        self._note("webhook.delivery-dead", "failed", outcome.detail, outcome.code, details)
        self._dead_told_at, self._dead_untold = time.monotonic(), 0

    def hopeless(self, now: datetime, pause_after_s: float) -> bool:
        """Nothing but failures for so long."""
        since = self.standing.failing_since
        return since is not None and now - since > timedelta(seconds=pause_after_s)
