"""When a call is tried again, and what becomes of it after an attempt. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from contracts.webhook_deliveries import DeliveryRecord, Outcome

STANDARD = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed attempt: the example schedule of Standard Webhooks, 75 h 35 min in all."""
JITTER = 0.1  # of a delay, added: what failed together does not come back together
RETRY_AFTER_S_MAX = 86_400.0


def retry_after_s(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After asks for (RFC 9110 §10.2.3), at most a day; 0 for none, or for nonsense."""
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), RETRY_AFTER_S_MAX)
    try:
        return min(max((parsedate_to_datetime(value) - now).total_seconds(), 0.0), RETRY_AFTER_S_MAX)
    except (ValueError, TypeError):
        return 0.0


def after(
    record: DeliveryRecord,
    outcome: Outcome,
    *,
    now: datetime,
    schedule: Sequence[float] = STANDARD,
    wait_s: float = 0.0,
    random: Callable[[], float],
) -> DeliveryRecord:
    """The call after an attempt. One that came before its time costs no step of the schedule."""
    attempted = {"attempts": record.attempts + 1, "last": outcome}
    if outcome.code is None:
        return record.model_copy(update={**attempted, "state": "delivered", "next_at": None})
    if record.next_at is not None and outcome.at < record.next_at:
        return record.model_copy(update={**attempted, "state": "waiting"})
    if record.step >= len(schedule):
        return record.model_copy(update={**attempted, "state": "dead", "next_at": None})
    delay_s = max(schedule[record.step] * (1 + JITTER * random()), wait_s)
    return record.model_copy(
        update={
            **attempted,
            "state": "waiting",
            "step": record.step + 1,
            "next_at": now + timedelta(seconds=delay_s),
        }
    )


def parsed(text: str) -> tuple[float, ...]:
    """`5,300,1800`; raises ValueError for what is no list of positive seconds."""
    delays = tuple(float(part) for part in text.split(",") if part.strip())
    if not delays or not all(0 < delay <= 7 * 86_400 for delay in delays):
        raise ValueError("seconds with commas between, each above 0 and at most a week")
    return delays
