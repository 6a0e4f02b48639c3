"""Erasures, as their organization asks about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from contracts.calls import Page
from contracts.devices import Erasure, GetErasure, ListErasures
from contracts.failures import Refused
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import erasures

_KIND = "erasures"


class ErasureCalls:
    def __init__(self, store: ReadStore) -> None:
        self._store = store

    async def list_erasures(self, query: ListErasures) -> Page[Erasure]:
        """Newest first."""
        held = erasures.c
        statement = select(erasures).order_by(held.forgotten_at.desc(), held.id.desc()).limit(query.limit + 1)
        if query.device_id is not None:
            statement = statement.where(held.device == query.device_id)
        if query.cursor is not None:
            moment, skip = cursors.decode(_KIND, query.organization, query.cursor, datetime, int)
            if skip < 0:
                raise Refused("cursor.invalid", "take `next_cursor` of the page before", field="cursor")
            statement = statement.where(held.forgotten_at <= moment).offset(int(skip))
        rows = await self._store.read(query.organization, statement)
        page = rows[: query.limit]
        cursor = None
        if len(rows) > query.limit:
            last = page[-1].forgotten_at
            cursor = cursors.encode(
                _KIND, query.organization, last, sum(1 for row in page if row.forgotten_at == last)
            )
        return Page(items=[_view(row) for row in page], next_cursor=cursor)

    async def get(self, query: GetErasure) -> Erasure:
        """Refused("not_found") also for another organization's."""
        rows = await self._store.read(query.organization, select(erasures).where(erasures.c.id == query.id))
        if not rows:
            raise Refused("not_found", "no such erasure")
        return _view(rows[0])


def _view(row: Row[Any]) -> Erasure:
    names = Erasure.model_fields.keys() - {"device_id"}
    return Erasure(device_id=row.device, **{name: getattr(row, name) for name in names})
