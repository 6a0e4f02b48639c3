"""All read models made anew from the logs, beside the ones that serve; and where projections stand in the logs.

The operator's: no organization asks for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from contracts.calls import Call, Model, Request

State = Literal["ordered", "carrying", "reading", "comparing", "done", "cancelled", "failed"]


class StartRebuild(Request):
    """Refused("rebuild.running") while one is under way; the same command again is answered the same."""


class GetRebuild(Request):
    pass


class CancelRebuild(Request):
    """What was made is thrown away; what serves stays as it is."""


class TableComparison(Model):
    """Rows of what served and of what was made anew, up to the same place in the logs."""

    rows: int
    rows_anew: int
    equal: bool  # by a hash of all columns of all rows


class Rebuild(Model):
    """The last one that was asked for. Points are readings; `left_s` is None where nobody can say."""

    id: int
    state: State
    actor: str
    ordered_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    messages: int
    points: int
    carried: int  # rows taken over as they are, for the logs hold their messages no longer
    messages_left: int | None
    points_per_s: float | None
    left_s: float | None
    comparison: dict[str, TableComparison] | None
    error: str | None


class RebuildState(Model):
    """None: nobody ever asked for one."""

    rebuild: Rebuild | None


class GetLogs(Request):
    pass


class Epoch(Model):
    """A run of a log's sequences; a log that is made anew or restored begins another."""

    id: int
    first: int
    shared_until: int | None  # the last one that the log still has; None: all of them
    change: Literal["none", "recreated", "restored"]
    noticed_at: datetime


class ProjectionPlace(Model):
    """Where a projection stands in its log."""

    projection: str
    stream: str
    epoch: int
    sequence: int
    first: int  # of the log now
    last: int
    trouble: str | None  # of the replica that answers; None while it can work
    epochs: list[Epoch]


class Logs(Model):
    projections: list[ProjectionPlace]


START_REBUILD = Call("command.telemetry.start-rebuild", StartRebuild, Rebuild)
GET_REBUILD = Call("query.telemetry.rebuild", GetRebuild, RebuildState)
CANCEL_REBUILD = Call("command.telemetry.cancel-rebuild", CancelRebuild, Rebuild)
GET_LOGS = Call("query.telemetry.logs", GetLogs, Logs)
