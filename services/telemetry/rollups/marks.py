"""Dirty hours: who changes samples says so here, in the same transaction, and their roll-ups are computed anew.

An hour that is dirty is answered from samples. So roll-ups need not be fast, only never stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import asyncpg

from services.telemetry.checkpoints import Session
from services.telemetry.messages import Ready
from services.telemetry.place import Checkpoint

HOUR = timedelta(hours=1)


DirtyHour = tuple[int, datetime, int]
"""Device, the beginning of the hour, organization; numbers as the database has them."""


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


# In one order, so that two who mark do not wait for each other. A version of its own each time: whoever computed
# before this transaction takes nothing away.
_MARK = (
    "INSERT INTO public.dirty_hours (device, hour, organization)"
    " SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::int[])"
    " ON CONFLICT (device, hour) DO UPDATE SET version = excluded.version"
)


async def mark_dirty(connection: Session, hours: Iterable[DirtyHour]) -> None:
    """For everybody who adds, changes or removes samples: within that transaction, each hour that is concerned."""
    ordered = sorted(set(hours))
    if ordered:
        devices, times, organizations = zip(*ordered, strict=True)
        await connection.execute(_MARK, devices, times, organizations)


_FORGET = tuple(
    f"DELETE FROM public.{table} WHERE device = $1"  # noqa: S608  # names of our own
    for table in ("rollups_1m", "rollups_1h", "rollups_1d", "dirty_hours", "dirty_days")
)


async def forget_device(connection: Session, device: int) -> None:
    """All roll-ups of a device, also those whose samples are gone: for whoever erases a device, with its samples."""
    for statement in _FORGET:
        await connection.execute(statement, device)


class Prepared:
    """Hours of a batch; in the end those that were written."""

    __slots__ = ("hours",)

    def __init__(self, hours: set[DirtyHour]) -> None:
        self.hours = hours


class Marks:
    """A follower of MESSAGES. An hour that is not over is marked once, and remembered; one that is over, each time."""

    REMEMBERED_MAX = 500_000

    def __init__(self) -> None:
        self._marked: dict[datetime, set[DirtyHour]] = {}  # by hour

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> Prepared:
        del pool, place
        return Prepared(ready.rows.hours)

    async def write(self, connection: Session, prepared: Prepared) -> None:
        now = hour_of(datetime.now(UTC))
        for hour in [hour for hour in self._marked if hour < now]:
            del self._marked[hour]  # whoever computes it, some minutes after it, takes the mark away
        for marked in self._marked.values():
            prepared.hours = prepared.hours - marked
        await mark_dirty(connection, prepared.hours)

    def committed(self, prepared: Prepared) -> None:
        now = hour_of(datetime.now(UTC))
        for each in prepared.hours:
            if each[1] >= now:
                self._marked.setdefault(each[1], set()).add(each)
        if sum(map(len, self._marked.values())) > self.REMEMBERED_MAX:
            self.forget()

    def forget(self) -> None:
        self._marked.clear()
