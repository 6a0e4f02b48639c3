"""Calls to webhooks, for operators: of all organizations together."""

from __future__ import annotations

from contracts.webhook_deliveries import Outcome
from runtime.observe import meter

_attempts = meter.create_counter("hybridmq.webhook.attempts", description="Calls to webhooks, by outcome")
_duration = meter.create_histogram("hybridmq.webhook.duration", unit="s", description="Time a call took")


def attempted(outcome: Outcome) -> None:
    _attempts.add(1, {"outcome": outcome.code or "ok"})
    _duration.record(outcome.duration_ms / 1000)
