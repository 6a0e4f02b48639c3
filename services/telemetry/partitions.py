"""Partitions by day: made before rows need them, dropped when their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import asyncpg

from runtime.observe import log
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY

_log = log(part="partitions")
AHEAD_DAYS = 2
TableDay = tuple[str, date]


class Partitions:
    """Remembers the days that exist."""

    def __init__(self) -> None:
        self._known: set[TableDay] = set()

    def known(self, days: set[TableDay]) -> bool:
        return days <= self._known

    async def ensure(self, connection: Session, days: Iterable[TableDay]) -> None:
        for table, day in sorted(set(days) - self._known):
            await connection.execute("SELECT hybridmq_ensure_day($1, $2)", table, day)
            self._known.add((table, day))

    def forget(self) -> None:
        self._known.clear()


async def housekeep(
    pool: asyncpg.Pool, partitions: Partitions, days_kept: Mapping[str, int], every_s: float
) -> None:
    """For ever: tomorrow's partitions made, old ones dropped; the database being away only delays it."""
    while True:
        try:
            await tidy(pool, partitions, days_kept, datetime.now(UTC).date())
        except AWAY as error:
            _log.warning("housekeeping is put off", error=repr(error))
        await asyncio.sleep(every_s)


async def tidy(
    pool: asyncpg.Pool, partitions: Partitions, days_kept: Mapping[str, int], today: date
) -> dict[str, int]:
    """How many days of each table went."""
    dropped = {}
    async with pool.acquire() as connection:
        for table, days in days_kept.items():
            ahead = [(table, today + timedelta(days=n)) for n in range(AHEAD_DAYS + 1)]
            await partitions.ensure(connection, ahead)
            dropped[table] = await connection.fetchval(
                "SELECT hybridmq_drop_days($1, $2)", table, today - timedelta(days=days)
            )
            if dropped[table]:
                partitions.forget()
                _log.info("days dropped", table=table, days=dropped[table])
    return dropped
