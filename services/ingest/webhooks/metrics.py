"""Calls to webhooks, for operators: of all organizations together."""

from __future__ import annotations

from contracts.webhook_deliveries import Outcome
from runtime.observe import duration, from_zero, meter

_attempts = meter.create_counter("hybridmq.webhook.attempts", description="Calls to webhooks, by outcome")
from_zero(_attempts, {"outcome": "ok"})
_duration = duration("hybridmq.webhook.duration", "Time a call took")


def attempted(outcome: Outcome) -> None:
    _attempts.add(1, {"outcome": outcome.code or "ok"})
    _duration.record(outcome.duration_ms / 1000)
