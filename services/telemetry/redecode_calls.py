"""Jobs that decode history again, as their organization asks about them, and pauses, resumes, cancels them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import select

from contracts.calls import Page
from contracts.failures import Refused, Unavailable
from contracts.integrations import DecoderChoice
from contracts.redecode import ListRedecodes, NamedRedecode, Redecode
from services.telemetry.database import AWAY
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.redecode import Redecoder
from services.telemetry.tables import redecodes

_KIND = "redecodes"
_CHANGE = (
    "UPDATE redecodes SET state = $4 WHERE id = $1 AND organization = $2 AND state = ANY($3) RETURNING *"
)


class RedecodeCalls:
    def __init__(self, store: ReadStore, pool: asyncpg.Pool, redecoder: Redecoder) -> None:
        self._store, self._pool, self._redecoder = store, pool, redecoder

    async def list_redecodes(self, query: ListRedecodes) -> Page[Redecode]:
        """Newest first."""
        held = redecodes.c
        statement = select(redecodes).order_by(held.ordered_at.desc(), held.id.desc()).limit(query.limit + 1)
        if query.cursor is not None:
            moment, skip = cursors.decode(_KIND, query.organization, query.cursor, datetime, int)
            statement = statement.where(held.ordered_at <= moment).offset(int(skip))
        rows = await self._store.read(query.organization, statement)
        page = rows[: query.limit]
        cursor = None
        if len(rows) > query.limit:
            last = page[-1].ordered_at
            cursor = cursors.encode(
                _KIND, query.organization, last, sum(1 for row in page if row.ordered_at == last)
            )
        return Page(items=[_view(row._mapping) for row in page], next_cursor=cursor)  # noqa: SLF001

    async def get(self, query: NamedRedecode) -> Redecode:
        """Refused("not_found") also for another organization's."""
        rows = await self._store.read(query.organization, select(redecodes).where(redecodes.c.id == query.id))
        if not rows:
            raise Refused("not_found", "no such redecode")
        return _view(rows[0]._mapping)  # noqa: SLF001

    async def pause(self, request: NamedRedecode) -> Redecode:
        return await self._change(request, ("running", "paused"), "paused")

    async def resume(self, request: NamedRedecode) -> Redecode:
        return await self._change(request, ("paused", "running"), "running")

    async def cancel(self, request: NamedRedecode) -> Redecode:
        """What it came to stays as it is now."""
        return await self._change(request, ("ordered", "running", "paused", "cancelling"), "cancelling")

    async def _change(self, request: NamedRedecode, states: tuple[str, ...], state: str) -> Redecode:
        try:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(
                    _CHANGE, request.id, request.organization, list(states), state
                )
        except AWAY as error:
            raise Unavailable("store.unavailable", "the database does not answer; try again") from error
        if row is None:
            held = await self.get(request)
            code = "redecode.ended" if held.finished_at is not None else "conflict"
            raise Refused(code, f"it is {held.state}")
        self._redecoder.wake.set()
        return _view(row)


def _view(row: Any) -> Redecode:
    ended = row["finished_at"] is not None
    span = 0 if row["first"] is None else row["last"] - row["first"] + 1
    progress = 0.0
    if row["state"] == "done":
        progress = 1.0
    elif span > 0:
        progress = min(1.0, max(0.0, (row["sequence"] - row["first"] + 1) / span))
    working = row["working_s"]
    rate = row["messages"] / working if working > 0 else None
    left = working * (1 - progress) / progress if progress > 0 and not ended else None
    decoder = row["decoder"]
    return Redecode(
        id=row["id"],
        integration_id=row["integration"],
        start=row["start"],
        end=row["end"],
        decoder=DecoderChoice.model_validate(json.loads(decoder) if isinstance(decoder, str) else decoder),
        decoder_version=row["decoder_version"],
        state=row["state"],
        ordered_at=row["ordered_at"],
        began_at=row["began_at"],
        finished_at=row["finished_at"],
        messages=row["messages"],
        added=row["added"],
        removed=row["removed"],
        changed=row["changed"],
        failed=row["failed"],
        resolved=row["resolved"],
        progress=progress,
        messages_per_s=rate,
        left_s=left,
        log_from=row["log_from"],
        error=row["error"],
    )
