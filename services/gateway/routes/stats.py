"""How much of what, by time."""

from __future__ import annotations

from typing import Annotated, cast, get_args

from litestar import get
from litestar.params import QueryParameter

from contracts.stats import GET_STATS, By, Counter, GetStats, StatsPage
from services.gateway.parameters import Caller, Cursor, From, Limit, Texts, To, span_of, texts
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

BYS: tuple[str, ...] = get_args(By)
COUNTERS: tuple[str, ...] = get_args(Counter)

Interval = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="Whole minutes, of devices and credentials whole hours: `1m`, `15m`, `1h`, `1d`, `1w`, `P1M`",
        schema_extra={"examples": ["1m", "1h", "1d"]},
    ),
]
Apart = Annotated[
    str | None,
    QueryParameter(max_length=16, description="An item for each of these", schema_extra={"enum": list(BYS)}),
]
Counters = Annotated[
    list[str] | None,
    QueryParameter(description="What to show; without: all", schema_extra={"enum": list(COUNTERS)}),
]


@get("/v1/stats", failures=("not_found",))
async def get_stats(
    gateway: Backend,
    caller: Caller,
    interval: Interval = "1h",
    by: Apart = None,
    counter: Counters = None,
    integration_id: Texts = None,
    device_id: Texts = None,
    credential_id: Texts = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> StatsPage:
    """Get statistics: messages, bytes, readings, errors, connects, links, in intervals of time.

    Without `to` until now, without `from` the 24 hours before that; the intervals are counted whole. `by` has an item
    for each integration, device or credential of which anything was counted; names of one of the three choose among
    them, without `by` all of them together. A message counts when it was received.

    Minutes are kept for 14 days, of the organization and its integrations; hours for 90 days, of devices and
    credentials, too. A device that was never heard of is `not_found`; an integration or credential of which nothing was
    counted has zeros. A credential's messages count when its connection ends."""
    if by is not None and by not in BYS:
        raise Invalid([FieldError(field="by", detail=f"it is one of {', '.join(BYS)}")])
    wanted = tuple(dict.fromkeys(counter or ()))
    if unknown := [name for name in wanted if name not in COUNTERS]:
        raise Invalid(
            [FieldError(field="counter", detail=f"`{unknown[0][:40]}` is none of {', '.join(COUNTERS)}")]
        )
    first, last = span_of(from_, to)
    query = GetStats(
        organization=caller.organization,
        **texts(integration_id=integration_id, device_id=device_id, credential_id=credential_id),
        from_=first,
        to=last,
        interval=interval,
        by=cast("By | None", by),
        counter=cast("tuple[Counter, ...]", wanted),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(GET_STATS, query)


ROUTES = [get_stats]
