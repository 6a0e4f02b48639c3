"""In which units and kinds metrics are sent: learnt from a device's first sample of each shape and day.

Only ever widened, so a rebuild writes the same rows again: it needs no shadow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.telemetry.checkpoints import Session

_SET = (
    "INSERT INTO public.metric_uses AS held (organization, metric, unit, kind, first_day, last_day)"
    " SELECT o, m, u, k, f, l"
    " FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::date[], $6::date[]) AS x (o, m, u, k, f, l)"
    " ON CONFLICT (metric, unit, kind) DO UPDATE SET first_day = least(held.first_day, excluded.first_day),"
    " last_day = greatest(held.last_day, excluded.last_day)"
    " WHERE held.first_day > excluded.first_day OR held.last_day < excluded.last_day"
)

Use = tuple[int, int, str, str]
"""Organization, metric, unit, kind."""


class MetricUses:
    """Of one batch."""

    def __init__(self) -> None:
        self._days: dict[Use, tuple[date, date]] = {}

    def note(
        self,
        organization: int,
        metrics: Sequence[int],
        others: Mapping[int, Any] | None,
        units: Mapping[int, str] | None,
        day: date,
    ) -> None:
        """One sample's; `others` and `units` by position in `metrics`."""
        for at, metric in enumerate(metrics):
            use = (organization, metric, (units or {}).get(at, ""), _kind((others or {}).get(at)))
            first, last = self._days.get(use, (day, day))
            self._days[use] = (min(first, day), max(last, day))

    async def store(self, connection: Session) -> None:
        if not self._days:
            return
        uses = sorted(self._days)  # two replicas in the same order: no deadlock
        columns = [list(column) for column in zip(*uses, strict=True)]
        days = [self._days[use] for use in uses]
        await connection.execute(_SET, *columns, [first for first, _ in days], [last for _, last in days])


def _kind(other: Any) -> str:
    """Numbers stand elsewhere, but for whole ones that no double holds."""
    if isinstance(other, bool):
        return "boolean"
    return "text" if isinstance(other, str) else "number"
