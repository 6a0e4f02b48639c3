"""Counters by minute and hour, and their way into the database: one statement a table and batch.

Minutes are kept of organizations and integrations, hours of devices and credentials, too: of 10,000 devices that send
all day 240,000 rows a day, where minutes would be 14 million.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from services.telemetry.checkpoints import Session
from services.telemetry.partitions import Partitions

ORGANIZATION, INTEGRATION, DEVICE, CREDENTIAL = range(4)  # contracts.stats.SCOPES
Key = tuple[int, int, str, datetime]
"""Organization, scope, the name in it, the beginning of the minute or hour."""
Cells = dict[Key, list[int]]
ALL = ""  # the name in the scope of an organization


def add(cells: Cells, key: Key, counts: list[int]) -> None:
    held = cells.get(key)
    if held is None:
        cells[key] = counts.copy()
    else:
        for at, count in enumerate(counts):
            held[at] += count


def with_hours(minutes: Cells, hours: Cells) -> tuple[Cells, Cells]:
    """The sums of minutes into hours, beside what counts by the hour only."""
    for (organization, scope, name, minute), counts in minutes.items():
        add(hours, (organization, scope, name, minute.replace(minute=0)), counts)
    return minutes, hours


def _upsert(table: str, counters: tuple[str, ...]) -> str:
    """Adds to what is there."""
    types = ["int", "smallint", "text", "timestamptz", *("bigint" for _ in counters)]
    unnested = ", ".join(f"${at}::{type}[]" for at, type in enumerate(types, 1))
    sums = ", ".join(f"{name} = held.{name} + excluded.{name}" for name in counters)
    return (
        f"INSERT INTO {table} AS held (organization, scope, name, time, {', '.join(counters)})"  # noqa: S608
        f" SELECT * FROM unnest({unnested}) ON CONFLICT (organization, scope, name, time) DO UPDATE SET {sums}"
    )


async def _store(connection: Session, statement: str, cells: Mapping[Key, list[int]]) -> None:
    """In the order of the keys: two writers at a time then wait, and never for each other."""
    if not cells:
        return
    keys = sorted(cells)
    columns: list[Any] = [list(column) for column in zip(*keys, strict=True)]
    columns += [list(column) for column in zip(*(cells[key] for key in keys), strict=True)]
    await connection.execute(statement, *columns)


class Counts:
    """What both followers share: where the counters go, in the transaction of the rows that are counted."""

    def __init__(self, minutes: str, hours: str, counters: tuple[str, ...]) -> None:
        self._tables = (minutes, hours)
        self._statements = tuple(_upsert(table, counters) for table in self._tables)
        self._partitions = Partitions()

    async def ready(self, pool: asyncpg.Pool, minutes: Cells, hours: Cells) -> tuple[Cells, Cells]:
        """As they are, once there is a partition for each."""
        days = {(table, key[3].date()) for key in hours for table in self._tables}
        if not self._partitions.known(days):
            async with pool.acquire() as connection:
                await self._partitions.ensure(connection, days)
        return minutes, hours

    async def write(self, connection: Session, prepared: tuple[Cells, Cells]) -> None:
        for statement, cells in zip(self._statements, prepared, strict=True):
            await _store(connection, statement, cells)

    def committed(self, prepared: tuple[Cells, Cells]) -> None:
        del prepared

    def forget(self) -> None:
        self._partitions.forget()
