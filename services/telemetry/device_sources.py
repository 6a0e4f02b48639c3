"""By which integrations devices came: learnt from messages, and only ever widened.

So a rebuild writes the same rows again: it needs no shadow.
"""

from __future__ import annotations

from operator import itemgetter

import asyncpg

from services.telemetry.checkpoints import Session
from services.telemetry.decoding import MessageRow
from services.telemetry.messages import Ready
from services.telemetry.place import Checkpoint

REMEMBERED_MAX = 500_000  # some 60 MB, then it is learnt anew
_ADD = (
    "INSERT INTO public.device_sources (organization, source, device)"
    " SELECT * FROM unnest($1::int[], $2::text[], $3::int[]) ON CONFLICT DO NOTHING"
)
_OF_MESSAGE = itemgetter(*(MessageRow._fields.index(name) for name in ("organization", "device", "source")))
Came = tuple[int, str, int]
"""Organization, source, device."""


class DeviceSources:
    """A follower of the messages' projection."""

    def __init__(self) -> None:
        self._stored: set[Came] = set()

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> list[Came]:
        del pool, place
        held = ready.rows.organizations
        named = set(map(_OF_MESSAGE, ready.batch.messages))
        if ready.batch.heard:  # in messages of others
            named |= {(row.organization, row.device, row.source) for row in ready.batch.samples}
        came = {
            (held[organization].id, source, held[organization].devices[device])
            for organization, device, source in named
            if device is not None
        }
        return sorted(came - self._stored)  # two replicas in the same order: no deadlock

    async def write(self, connection: Session, prepared: list[Came]) -> None:
        if prepared:
            await connection.execute(_ADD, *(list(column) for column in zip(*prepared, strict=True)))

    def committed(self, prepared: list[Came]) -> None:
        if len(self._stored) + len(prepared) > REMEMBERED_MAX:
            self._stored.clear()
        self._stored.update(prepared)

    def forget(self) -> None:
        self._stored.clear()
