"""Whether what was made anew is what served: row counts and hashes, up to the same place in the logs."""

from __future__ import annotations

from typing import Any

import asyncpg

from services.telemetry.checkpoints import Session

_HASH = "count(*) AS rows, coalesce(sum(hashtextextended({row}::text, 0)::numeric), 0)::text AS hash"
_DEVICE = "(id, first_seen, last_seen, messages)"


async def growing(pool: asyncpg.Pool, table: str, epoch: int, sequence: int) -> dict[str, Any]:
    """Of a table whose rows stay as they were written: those of up to this place."""
    where = f"WHERE NOT (epoch > {int(epoch)} OR (epoch = {int(epoch)} AND sequence > {int(sequence)}))"
    async with pool.acquire() as connection:
        return await _both(connection, table, "t", where)


async def standing(connection: Session, table: str) -> dict[str, Any]:
    """Of a table whose rows change: all of it, while both stand at the same place."""
    if table == "devices":  # one that was never heard of is in the dictionary only
        return await _both(connection, table, _DEVICE, "WHERE first_seen IS NOT NULL")
    return await _both(connection, table, "t", "")


async def _both(connection: Session, table: str, row: str, where: str) -> dict[str, Any]:
    counted = _HASH.format(row=row)
    rows, hashes = [], []
    for schema in ("public", "shadow"):
        found = await connection.fetch(f"SELECT {counted} FROM {schema}.{table} t {where}")  # noqa: S608
        rows.append(found[0]["rows"])
        hashes.append(found[0]["hash"])
    return {"rows": rows[0], "rows_anew": rows[1], "equal": hashes[0] == hashes[1]}
