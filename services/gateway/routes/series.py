"""What readings come to: in buckets of time, and the latest of each device."""

from __future__ import annotations

from typing import Annotated, cast, get_args

from litestar import get
from litestar.params import QueryParameter

from contracts.calls import Page
from contracts.series import (
    GET_SERIES,
    LIST_LATEST,
    Aggregate,
    Fill,
    GetSeries,
    LatestRow,
    ListLatest,
    SeriesPage,
)
from services.gateway.parameters import Caller, Cursor, From, Limit, Texts, To, span_of, texts
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

AGGREGATES: tuple[str, ...] = get_args(Aggregate)
FILLS: tuple[str, ...] = get_args(Fill)

Interval = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="Length of a bucket: `30s`, `15m`, `1h`, `1d`, `1w`, or an ISO 8601 duration such as `PT15M`,"
        " `P1D`, `P1M`. At most 10,000 buckets",
        schema_extra={"examples": ["15m", "1h", "1d", "P1M"]},
    ),
]
TimeZone = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="Whose midnights days, weeks and months begin at (IANA name)",
        schema_extra={"examples": ["UTC", "Europe/Berlin"]},
    ),
]
Aggregates = Annotated[
    list[str] | None,
    QueryParameter(
        description="What each bucket comes to; given several times: each of them. Without: `avg`",
        schema_extra={"enum": list(AGGREGATES)},
    ),
]
Filled = Annotated[
    str,
    QueryParameter(
        max_length=16,
        description="What stands where a bucket has no reading: null, the value before, or the line between both sides",
        schema_extra={"enum": list(FILLS)},
    ),
]


@get("/v1/telemetry/series", failures=("not_found", "retention.exceeded"))
async def get_series(
    gateway: Backend,
    caller: Caller,
    interval: Interval,
    device_id: Texts = None,
    metric: Texts = None,
    integration_id: Texts = None,
    from_: From = None,
    to: To = None,
    aggregate: Aggregates = None,
    fill: Filled = "none",
    time_zone: TimeZone = "UTC",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SeriesPage:
    """Get series: readings in buckets of `interval`, for several devices and metrics at once.

    One item for each metric of each device, with a list of values for each `aggregate`, as long as `timestamps`.
    Without `to` until now, without `from` the 24 hours before that; a page's cursor keeps to the same times.

    A gap is null, `count` is 0 there; `fill=previous` repeats the value before, `fill=linear` draws the line between
    the numbers around it. Seconds, minutes and hours are counted from 1970-01-01T00:00Z; days, weeks (from Monday)
    and months begin at midnight in `time_zone`. `p50` to `p99` interpolate between readings. Booleans and texts have
    `count`, `first` and `last`.

    Where whole minutes, hours or days lie in a bucket, roll-ups of them are read, which say the same. Where readings
    are kept no longer, `from`, `to` and `interval` must be whole minutes or hours, and there are no percentiles.

    An interval that makes over 10,000 buckets is refused, with the smallest one allowed as `smallest_interval`."""
    wanted = tuple(dict.fromkeys(aggregate or ("avg",)))
    if unknown := [name for name in wanted if name not in AGGREGATES]:
        raise Invalid(
            [FieldError(field="aggregate", detail=f"`{unknown[0][:40]}` is none of {', '.join(AGGREGATES)}")]
        )
    if fill not in FILLS:
        raise Invalid([FieldError(field="fill", detail=f"it is one of {', '.join(FILLS)}")])
    first, last = span_of(from_, to)
    query = GetSeries(
        organization=caller.organization,
        **texts(device_id=device_id, metric=metric, integration_id=integration_id),
        from_=first,
        to=last,
        interval=interval,
        time_zone=time_zone,
        aggregate=cast("tuple[Aggregate, ...]", wanted),
        fill=cast("Fill", fill),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(GET_SERIES, query)


@get("/v1/telemetry/latest", failures=("not_found",))
async def list_latest(
    gateway: Backend,
    caller: Caller,
    device_id: Texts = None,
    metric: Texts = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[LatestRow]:
    """List the latest value of every metric of every device.

    The devices that were heard of last come first. `metric`: only these, of the devices that have any of them."""
    query = ListLatest(
        organization=caller.organization,
        **texts(device_id=device_id, metric=metric),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_LATEST, query)


ROUTES = [get_series, list_latest]
