"""What an organization's readings take: from the statistics that the planner has of each partition; no row is read."""

from __future__ import annotations

from typing import Any

import asyncpg
from pydantic_core import from_json

from contracts.failures import Refused, Unavailable
from contracts.retention import DeviceStorage, GetStorage, StorageView, Stored, Tier
from services.telemetry.database import AWAY

_TABLES: dict[Tier, str] = {
    "readings": "samples",
    "messages": "messages",
    "minutes": "rollups_1m",
    "hours": "rollups_1h",
    "days": "rollups_1d",
}
_ORGANIZATION = "SELECT id FROM organizations WHERE name = $1"
_DEVICES = "SELECT name, id FROM devices WHERE organization = $1 AND name = ANY ($2::text[]) AND first_seen IS NOT NULL"
_SIZES = """
SELECT parent.relname AS name, sum(pg_total_relation_size(part.oid))::bigint AS bytes,
    sum(greatest(part.reltuples, 0))::bigint AS rows
FROM pg_inherits i JOIN pg_class parent ON parent.oid = i.inhparent JOIN pg_class part ON part.oid = i.inhrelid
WHERE parent.oid = ANY ($1::text[]::regclass[]) GROUP BY parent.relname
"""
# The planner's guess of how many rows there are: numbers of our own, so that it knows the value.
_GUESS = "EXPLAIN (FORMAT JSON) SELECT FROM {table} WHERE {column} = {number}"


class Storage:
    """Asks as the projector, for statistics are no organization's own; what it answers is of the asking one alone."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, query: GetStorage) -> StorageView:
        try:
            async with self._pool.acquire() as connection:
                return await self._get(connection, query)
        except AWAY as error:
            raise Unavailable("store.unavailable", "the database does not answer; try again") from error

    async def _get(self, connection: Any, query: GetStorage) -> StorageView:
        organization = await connection.fetchval(_ORGANIZATION, query.organization)
        devices: dict[str, int] = {}
        if organization is not None:
            devices = dict(await connection.fetch(_DEVICES, organization, list(query.device_id)))
        if set(query.device_id) - set(devices):
            raise Refused("not_found", "no such device")
        if organization is None:
            return StorageView(bytes=0, items=())
        sizes = {row["name"]: row for row in await connection.fetch(_SIZES, list(_TABLES.values()))}
        items = await _stored(connection, sizes, "organization", organization)
        held = {name: await _stored(connection, sizes, "device", id) for name, id in sorted(devices.items())}
        return StorageView(
            bytes=sum(each.bytes for each in items),
            items=items,
            devices=tuple(
                DeviceStorage(device_id=name, bytes=sum(each.bytes for each in of), items=of)
                for name, of in held.items()
            ),
        )


async def _stored(connection: Any, sizes: dict[str, Any], column: str, number: int) -> tuple[Stored, ...]:
    found = []
    for tier, table in _TABLES.items():
        size = sizes[table]
        statement = _GUESS.format(table=table, column=column, number=int(number))
        rows = min(int(from_json(await connection.fetchval(statement))[0]["Plan"]["Plan Rows"]), size["rows"])
        taken = size["bytes"] * rows // size["rows"] if size["rows"] else 0
        found.append(Stored(tier=tier, rows=rows, bytes=taken))
    return tuple(found)
