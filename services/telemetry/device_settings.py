"""The projection of the REGISTRY's devices: what people say of them, beside what is heard of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from contracts import subjects, upcasts
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Recorded
from contracts.failures import Unprocessable
from contracts.streams import REGISTRY
from runtime.observe import log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.parting import Found
from services.telemetry.place import Checkpoint

_log = log(part="device settings")
_SET = """
UPDATE devices d SET label = said.label, tags = ARRAY(SELECT jsonb_array_elements_text(said.tags)),
    metadata = said.metadata, hidden = said.hidden, described_at = said.described_at, settled_at = said.at
FROM unnest($1::int[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::timestamptz[], $7::timestamptz[])
    AS said (id, label, tags, metadata, hidden, described_at, at)
WHERE d.id = said.id
"""
_ORDER = (
    "INSERT INTO erasures (id, organization, device, forgotten_at, forgotten_ns)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])"
    " ON CONFLICT DO NOTHING"
)
_KNOWN = (
    "SELECT EXISTS (SELECT FROM devices d JOIN organizations o ON o.id = d.organization"
    " WHERE o.name = $1 AND d.name = $2 AND d.settled_at >= $3)"
)
Said = DeviceDescribed | DeviceForgotten


class Read(NamedTuple):
    organization: str
    event: Said
    at: datetime
    time_ns: int  # when the registry stored it


class Ready(NamedTuple):
    """Of each device the last word, by its number; and the erasures that are ordered."""

    rows: list[tuple[Any, ...]]
    erasures: list[tuple[Any, ...]]


class DeviceSettingsProjection:
    name = "devices"
    stream = REGISTRY.name
    subjects = subjects.registry_of_kind("device")

    def __init__(self) -> None:
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        del place
        found = [read for entry in entries if (read := _read(entry)) is not None]
        if not found:
            return Ready([], [])
        async with pool.acquire() as connection:
            await self._dictionaries.learn(
                connection, {(read.organization, read.event.device_id) for read in found}, ()
            )
        held = self._dictionaries.organizations
        last = {held[read.organization].devices[read.event.device_id]: read for read in found}
        erasures = [_erasure(read) for read in found if isinstance(read.event, DeviceForgotten)]
        return Ready([_row(id, last[id]) for id in sorted(last)], erasures)

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error("what is said of a device cannot be stored", sequence=entry.sequence, why=why)
        return Ready(
            [], []
        )  # checked before it was written: a defect, which the log names; it stays in the registry

    async def write(self, connection: Session, ready: Ready) -> int:
        if ready.rows:
            await connection.execute(_SET, *(list(column) for column in zip(*ready.rows, strict=True)))
        if ready.erasures:
            await connection.execute(_ORDER, *(list(column) for column in zip(*ready.erasures, strict=True)))
        return len(ready.rows)

    def committed(self, ready: Ready) -> None:
        del ready

    def links(self, ready: Ready) -> list[str]:
        del ready
        return []

    async def known(self, connection: Session, found: Found) -> bool | None:
        if subjects.entity(found.subject).kind != "device":
            return None
        try:
            recorded = upcasts.decode(found.headers, found.data, subject=found.subject)
        except Unprocessable:
            return None
        if recorded is None or not isinstance(recorded.event, Said):
            return None
        organization = subjects.entity(found.subject).organization
        return bool(await connection.fetchval(_KNOWN, organization, recorded.event.device_id, recorded.time))

    def forget(self) -> None:
        self._dictionaries.forget()


def _row(id: int, read: Read) -> tuple[Any, ...]:
    event = read.event
    if isinstance(event, DeviceForgotten):
        return id, None, "[]", "{}", False, None, read.at
    tags, metadata = json.dumps(list(event.tags)), json.dumps(event.metadata)
    return id, event.name, tags, metadata, event.hidden, read.at, read.at


def _erasure(read: Read) -> tuple[Any, ...]:
    assert isinstance(read.event, DeviceForgotten)
    return read.event.erasure, read.organization, read.event.device_id, read.at, read.time_ns


def _read(entry: Entry) -> Read | None:
    """None for other entities, for what cannot be read, which is said, and for what a newer service wrote."""
    entity = subjects.entity(entry.subject)
    if entity.kind != "device":
        return None
    try:
        recorded: Recorded | None = upcasts.decode(
            entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
        )
    except Unprocessable as failure:
        _log.error("an event of a device is unreadable", error=str(failure))
        return None
    if recorded is None or not isinstance(recorded.event, Said):
        return None
    return Read(entity.organization, recorded.event, recorded.time, entry.time_ns)
