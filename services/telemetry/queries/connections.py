"""What came of a credential's connections since its beginning."""

from __future__ import annotations

from sqlalchemy import select

from contracts.connections import ConnectionStatistics, GetConnectionStatistics, RefusalCount
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import credential_refusals, credential_statistics

_SHOWN = ConnectionStatistics.model_fields.keys() - {"refusals", "last_seen_at"}


async def statistics(store: ReadStore, query: GetConnectionStatistics) -> ConnectionStatistics:
    """All zero for one that never came, and for another organization's."""
    held, counted = credential_statistics.c, credential_refusals.c
    mine = select(credential_statistics).where(held.credential == query.credential)
    refused = (
        select(counted.reason, counted.count.label("number"), counted.last_at)
        .where(counted.credential == query.credential)
        .order_by(counted.reason)
    )
    found = await store.read(query.organization, mine)
    counts = await store.read(query.organization, refused)
    refusals = tuple(RefusalCount(reason=row.reason, count=row.number, last_at=row.last_at) for row in counts)
    if not found:
        return ConnectionStatistics(refusals=refusals)
    row = found[0]
    seen = [at for at in (row.last_connected_at, row.last_disconnected_at) if at is not None]
    shown = {name: getattr(row, name) for name in _SHOWN}
    return ConnectionStatistics(**shown, last_seen_at=max(seen, default=None), refusals=refusals)
