"""How many devices are online."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from contracts.presence import GET_PRESENCE, GetPresence, PresencePage
from services.gateway.parameters import Caller, From, To, span_of
from services.gateway.state import Backend

Interval = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="Whole minutes: `1m`, `15m`, `1h`, `1d`. At most 10,000 intervals",
        schema_extra={"examples": ["1m", "15m", "1h"]},
    ),
]


@get("/v1/presence")
async def get_presence(
    gateway: Backend, caller: Caller, interval: Interval = "1m", from_: From = None, to: To = None
) -> PresencePage:
    """Count devices by presence: exactly now, and those online by time.

    Without `to` until now, without `from` the hour before that. By time it is what was counted last in each interval,
    once a minute; null where nobody counted, because the platform stood still or it is longer ago than 14 days."""
    first, last = span_of(from_, to)
    query = GetPresence(organization=caller.organization, interval=interval, from_=first, to=last)
    return await gateway.ask(GET_PRESENCE, query)


ROUTES = [get_presence]
