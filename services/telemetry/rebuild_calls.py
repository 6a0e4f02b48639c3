"""Answers to `contracts.rebuild`: orders of a rebuild, how far it is, where projections stand in their logs."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
from nats.aio.client import Client

from contracts.failures import Refused, Unavailable
from contracts.rebuild import (
    CancelRebuild,
    Epoch,
    GetLogs,
    GetRebuild,
    Logs,
    ProjectionPlace,
    Rebuild,
    RebuildState,
    StartRebuild,
)
from runtime import jetstream
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.projector import Projector
from services.telemetry.rebuild import Rebuilder

_LAST = "SELECT * FROM rebuilds ORDER BY id DESC LIMIT 1"
_ORDER = "INSERT INTO rebuilds (actor, command) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *"
_CANCEL = "UPDATE rebuilds SET state = 'cancelled', finished_at = now() WHERE finished_at IS NULL RETURNING *"
_PLACES = (
    "SELECT c.projection, e.stream, c.epoch, c.sequence FROM checkpoints c JOIN epochs e ON e.id = c.epoch"
    " ORDER BY c.projection"
)
_EPOCHS = "SELECT id, first, shared_until, change, noticed_at FROM epochs WHERE stream = $1 ORDER BY id"


class RebuildCalls:
    """Raises Unavailable("store.unavailable") while the database is away."""

    def __init__(
        self, client: Client, pool: asyncpg.Pool, rebuilder: Rebuilder, live: dict[str, Projector[Any]]
    ) -> None:
        self._client, self._pool, self._rebuilder, self._live = client, pool, rebuilder, live

    async def start(self, request: StartRebuild) -> Rebuild:
        try:
            async with self._pool.acquire() as connection:
                made = await connection.fetchrow(_ORDER, request.actor, request.command_id)
                if made is None:
                    made = await _asked_before(connection, request.command_id)
        except AWAY as error:
            raise _away() from error
        self._rebuilder.wake.set()
        return _view(made)

    async def get(self, _: GetRebuild) -> RebuildState:
        try:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(_LAST)
        except AWAY as error:
            raise _away() from error
        return RebuildState(rebuild=None if row is None else _view(row))

    async def cancel(self, _: CancelRebuild) -> Rebuild:
        """Refused("not_found") where none is under way."""
        try:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(_CANCEL)
        except AWAY as error:
            raise _away() from error
        if row is None:
            raise Refused("not_found", "no rebuild is under way")
        self._rebuilder.wake.set()
        return _view(row)

    async def logs(self, _: GetLogs) -> Logs:
        try:
            async with self._pool.acquire() as connection:
                places = await connection.fetch(_PLACES)
                epochs = {row["stream"]: await connection.fetch(_EPOCHS, row["stream"]) for row in places}
        except AWAY as error:
            raise _away() from error
        found = []
        for row in places:
            state = await jetstream.stream_state(self._client, row["stream"])
            found.append(
                ProjectionPlace(
                    **row,
                    first=state.first,
                    last=state.last,
                    trouble=self._live[row["projection"]].trouble,
                    epochs=[Epoch(**epoch) for epoch in epochs[row["stream"]]],
                )
            )
        return Logs(projections=found)


async def _asked_before(connection: Session, command: str | None) -> asyncpg.Record:
    row = await connection.fetchrow(_LAST)
    if row is None or command is None or row["command"] != command:
        raise Refused("rebuild.running", "a rebuild is under way: cancel it, or wait for its end")
    return row


def _view(row: asyncpg.Record) -> Rebuild:
    working = row["reading_s"] > 0 and row["messages"] > 0
    left = row["messages_left"] if row["finished_at"] is None else None
    return Rebuild(
        id=row["id"],
        state=row["state"],
        actor=row["actor"],
        ordered_at=row["ordered_at"],
        began_at=row["began_at"],
        finished_at=row["finished_at"],
        messages=row["messages"],
        points=row["points"],
        carried=row["carried"],
        messages_left=left,
        points_per_s=row["points"] / row["reading_s"] if working else None,
        left_s=left * row["reading_s"] / row["messages"] if working and left is not None else None,
        comparison=None if row["comparison"] is None else json.loads(row["comparison"]),
        error=row["error"],
    )


def _away() -> Unavailable:
    return Unavailable("store.unavailable", "the database does not answer; try again")
