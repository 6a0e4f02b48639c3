"""Queries that compute: series over time in buckets, and the latest value of every metric of every device."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.calls import Call, Model, Page
from contracts.telemetry import LatestValue, Names, Query, Value

Aggregate = Literal["avg", "min", "max", "sum", "count", "first", "last", "p50", "p90", "p95", "p99"]
Fill = Literal["none", "previous", "linear"]


class GetSeries(Query):
    """Without `to` until now, without `from_` the 24 hours before that."""

    device_id: Names = ()
    metric: Names = ()
    integration_id: Names = ()
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None
    interval: Annotated[str, Field(max_length=64)]
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    aggregate: Annotated[tuple[Aggregate, ...], Field(min_length=1)] = ("avg",)
    fill: Fill = "none"


class Series(Model):
    """`values` has a list by aggregate, each as long as `timestamps` of the page; null is a gap.

    Booleans and texts have count, first and last only. Numbers beyond 2^53 are exact in sum, min, max, first and last,
    and the nearest double in percentiles."""

    device_id: str
    metric: str
    values: dict[Aggregate, list[Value | None]]


class SeriesPage(Model):
    """`timestamps` are the starts of the buckets; the first and the last may reach out of [start, end), and hold only
    what lies in it."""

    start: datetime
    end: datetime
    interval: str
    time_zone: str
    fill: Fill
    timestamps: list[datetime]
    items: list[Series]
    next_cursor: str | None = None


class ListLatest(Query):
    device_id: Names = ()
    metric: Names = ()


class LatestRow(Model):
    """The newest value of each metric that the device has sent."""

    device_id: str
    metrics: dict[str, LatestValue]


GET_SERIES = Call("query.telemetry.series", GetSeries, SeriesPage, timeout_s=10.0)
LIST_LATEST = Call("query.telemetry.latest", ListLatest, Page[LatestRow], timeout_s=10.0)
