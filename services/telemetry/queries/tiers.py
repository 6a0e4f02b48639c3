"""Which roll-ups give exactly what samples would: pure.

A roll-up may stand for its samples where no edge of a bucket cuts its span. Shorter ones, and samples, fill what is
left at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

Tier = Literal["1m", "1h", "1d"]
SPANS: dict[Tier, timedelta] = {
    "1m": timedelta(minutes=1),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_NAMES: dict[Tier, str] = {"1m": "minutes", "1h": "hours", "1d": "days"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[datetime, datetime]


class Choice(NamedTuple):
    """`tiers` shortest first, none: samples alone. `spans`: whole ones of each, by tier; spans that nothing but
    samples can answer, and such as need minutes."""

    tiers: tuple[Tier, ...]
    spans: dict[Tier, Span]
    raw: list[Span]
    minutes: list[Span]

    def parameters(self) -> dict[str, Any]:
        """Of `series_sql.statement`."""
        found: dict[str, Any] = {"raw_from": [a for a, _ in self.raw], "raw_to": [b for _, b in self.raw]}
        if self.tiers:
            found |= {
                "minutes_needed_from": [a for a, _ in self.minutes],
                "minutes_needed_to": [b for _, b in self.minutes],
            }
        for tier in self.tiers:
            found[f"{_NAMES[tier]}_from"], found[f"{_NAMES[tier]}_to"] = self.spans[tier]
        return found


def choose(
    first: datetime, last: datetime, starts: Sequence[datetime], step: timedelta | None, *, samples_only: bool
) -> Choice:
    """For buckets that begin at `starts`, each `step` long where all are alike, of [first, last)."""
    alone = Choice((), {}, [(first, last)], [])
    if samples_only:
        return alone
    tiers: list[Tier] = []
    spans: dict[Tier, Span] = {}
    for tier, span in SPANS.items():
        if not _aligned(starts, step, span):
            break
        whole = _up(first, span), _down(last, span)
        if whole[0] >= whole[1]:
            break
        tiers.append(tier)
        spans[tier] = whole
    if not tiers:
        return alone
    minutes = _around(spans["1m"], spans["1h"]) if "1h" in tiers else [spans["1m"]]
    return Choice(tuple(tiers), spans, _around((first, last), spans["1m"]), minutes)


def _around(outer: Span, inner: Span) -> list[Span]:
    return [(a, b) for a, b in ((outer[0], inner[0]), (inner[1], outer[1])) if a < b]


def _aligned(starts: Sequence[datetime], step: timedelta | None, span: timedelta) -> bool:
    if step is not None:
        return step % span == timedelta(0) and (starts[0] - _EPOCH) % span == timedelta(0)
    return all((start - _EPOCH) % span == timedelta(0) for start in starts)


def _down(moment: datetime, span: timedelta) -> datetime:
    return _EPOCH + (moment - _EPOCH) // span * span


def _up(moment: datetime, span: timedelta) -> datetime:
    return _EPOCH - (_EPOCH - moment) // span * span
