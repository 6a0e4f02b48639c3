"""Readings sent and asked for as series, and what a plain computation makes of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.series import GET_SERIES, Aggregate, GetSeries, SeriesPage
from services.telemetry.queries.series_sql import PERCENTILES
from tests.telemetry.world import World

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
ALL: tuple[Aggregate, ...] = (
    "avg",
    "min",
    "max",
    "sum",
    "count",
    "first",
    "last",
    "p50",
    "p90",
    "p95",
    "p99",
)
Point = tuple[datetime, Any]


async def send(here: World, org: str, device: str, points: Sequence[tuple[datetime, dict[str, Any]]]) -> int:
    """Messages of a hundred samples each; the last sequence."""
    sequence = 0
    for start in range(0, len(points), 100):
        body = [{"ts": at.isoformat(), "metrics": held} for at, held in points[start : start + 100]]
        sequence = await here.hosted(org, device, body)
    return sequence


async def ask(here: World, org: str, **query: Any) -> SeriesPage:
    held = {"organization": org, "from_": T0, "to": T0 + timedelta(hours=1), "interval": "10m", **query}
    return await here.ask(GET_SERIES, GetSeries.model_validate(held))


def percentile(values: Sequence[float], fraction: float) -> float:
    """Of the readings in order, at a place between two of them."""
    ordered, place = sorted(values), fraction * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def computed(points: Sequence[Point], aggregate: Aggregate) -> Any:
    """By the plain words of what each aggregate is; `points` in the order of their arrival."""
    said = [value for _, value in sorted(points, key=lambda point: point[0])]
    if aggregate == "count":
        return len(said)
    if aggregate in ("first", "last"):
        return said[0 if aggregate == "first" else -1] if said else None
    numbers = [value for value in said if type(value) in (int, float)]
    if not numbers:
        return None
    if aggregate in PERCENTILES:
        return percentile(numbers, PERCENTILES[aggregate])
    if aggregate == "avg":
        return statistics.fmean(numbers)
    if aggregate == "sum":
        return sum(numbers)
    return min(numbers) if aggregate == "min" else max(numbers)


def assert_alike(found: Sequence[Any], expected: Sequence[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, float):
            assert one == pytest.approx(other, rel=1e-12, abs=1e-9)
        else:
            assert (one, type(one)) == (other, type(other)) or (
                type(one) in (int, float) and type(other) is int and one == other
            )
