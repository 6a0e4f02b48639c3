"""Statistics: what happened how often, by time; of an organization, or by integration, device or credential."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.calls import Call, Model
from contracts.telemetry import Names, Query

By = Literal["integration", "device", "credential"]
Counter = Literal[
    "messages",
    "bytes",
    "readings",
    "dead_letters",
    "errors",
    "connects",
    "disconnects",
    "refusals",
    "links_up",
    "links_down",
    "links_degraded",
]
"""`messages` and `bytes` of payload came in, `readings` were in them; `dead_letters` are those that could not be
decoded. `errors` are activity that failed or was refused, `refusals` connects of devices that were; links are of
external brokers. A credential's messages and bytes count when its connection ends."""

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCOPES: dict[By | None, int] = {None: 0, "integration": 1, "device": 2, "credential": 3}
"""As numbers, in the database; minutes are kept of the first two."""
BY_MINUTE: frozenset[By | None] = frozenset((None, "integration"))


class GetStats(Query):
    """Without `to` until now, without `from_` the 24 hours before that. Names of one kind at most."""

    interval: Annotated[str, Field(max_length=64)] = "1h"
    by: By | None = None
    counter: tuple[Counter, ...] = ()  # empty: all
    integration_id: Names = ()
    device_id: Names = ()
    credential_id: Names = ()
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None


class Stats(Model):
    """`values` has a list by counter, each as long as `timestamps` of the page."""

    id: str | None  # of the integration, device or credential; None: of all that was asked for together
    totals: dict[Counter, int]
    values: dict[Counter, list[int]]


class StatsPage(Model):
    """`timestamps` are the starts of the intervals, which are counted whole."""

    start: datetime
    end: datetime
    interval: str
    by: By | None
    timestamps: list[datetime]
    items: list[Stats]
    next_cursor: str | None = None


GET_STATS = Call("query.telemetry.stats", GetStats, StatsPage, timeout_s=10.0)
