"""Small numbers for organizations, devices and metrics: made once, however many race, and remembered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg

from contracts.decoders.choice import Origin
from services.telemetry import copying
from services.telemetry.checkpoints import Session

REMEMBERED_MAX = 500_000  # devices or metric lists; some 100 MB, then it is learnt anew

# Named with their schema: a rebuild writes its rows elsewhere, by the same numbers.
_ORGANIZATIONS = (
    "SELECT id, name FROM public.organizations WHERE name = ANY($1)",
    "INSERT INTO public.organizations (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
)
_SELECT = (
    "SELECT t.id, t.organization, t.name FROM public.{table} t"
    " JOIN unnest($1::int[], $2::text[]) AS wanted (organization, name) USING (organization, name)"
)
_INSERT = (
    "INSERT INTO public.{table} (organization, name)"
    " SELECT * FROM unnest($1::int[], $2::text[]) ON CONFLICT DO NOTHING"
)


_SELECT_DECODERS = (
    "SELECT t.id, t.name, t.version, t.settings_hash FROM public.decoders t"
    " JOIN unnest($1::text[], $2::int[], $3::text[]) AS wanted (name, version, settings_hash)"
    " USING (name, version, settings_hash)"
)
_INSERT_DECODERS = (
    "INSERT INTO public.decoders (name, version, settings_hash)"
    " SELECT * FROM unnest($1::text[], $2::int[], $3::text[]) ON CONFLICT DO NOTHING"
)


class Shape:
    """The metrics of a sample, as many samples have them."""

    __slots__ = ("ids", "wire")

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.wire = copying.integers(ids)


class Organization:
    """What is known of one."""

    __slots__ = ("devices", "id", "metrics", "shapes")

    def __init__(self, id: int) -> None:
        self.id = id
        self.devices: dict[str, int] = {}
        self.metrics: dict[str, int] = {}
        self.shapes: dict[tuple[str, ...], Shape] = {}  # by the names


class Dictionaries:
    """`learn` before the transaction of the rows: ids are committed before a row bears them."""

    def __init__(self) -> None:
        self.organizations: dict[str, Organization] = {}
        self.decoders: dict[Origin, int] = {}

    def forget(self) -> None:
        """After any trouble with the database: what we remember may not have lasted."""
        self.organizations.clear()
        self.decoders.clear()

    async def learn(
        self,
        connection: Session,
        devices: Iterable[tuple[str, str]],
        shapes: Iterable[tuple[str, tuple[str, ...]]],
        organizations: Iterable[str] = (),
    ) -> None:
        """Makes sure that all of these have ids here; asks the database only for those that are new."""
        if sum(len(o.devices) + len(o.shapes) for o in self.organizations.values()) > REMEMBERED_MAX:
            self.forget()
        devices, shapes = list(devices), list(shapes)
        names = {*(o for o, _ in devices), *(o for o, _ in shapes), *organizations}
        if new := sorted(names - self.organizations.keys()):
            for row in await _found_or_made(connection, *_ORGANIZATIONS, new):
                self.organizations[row["name"]] = Organization(row["id"])
        known = self.organizations
        by_id = {organization.id: organization for organization in known.values()}
        missing = {(known[o].id, device) for o, device in devices if device not in known[o].devices}
        for row in await self._rows(connection, "devices", missing):
            by_id[row["organization"]].devices[row["name"]] = row["id"]
        new_shapes = [(known[o], shape) for o, shape in shapes if shape not in known[o].shapes]
        missing = {(o.id, name) for o, shape in new_shapes for name in shape if name not in o.metrics}
        for row in await self._rows(connection, "metrics", missing):
            by_id[row["organization"]].metrics[row["name"]] = row["id"]
        for organization, shape in new_shapes:
            organization.shapes[shape] = Shape([organization.metrics[name] for name in shape])

    async def learn_decoders(self, connection: Session, origins: set[Origin]) -> None:
        missing = sorted(origins - self.decoders.keys())
        if not missing:
            return
        columns = [list(column) for column in zip(*missing, strict=True)]
        for row in await _found_or_made(connection, _SELECT_DECODERS, _INSERT_DECODERS, *columns):
            self.decoders[Origin(row["name"], row["version"], row["settings_hash"])] = row["id"]

    async def _rows(
        self, connection: Session, table: str, missing: set[tuple[int, str]]
    ) -> list[asyncpg.Record]:
        if not missing:
            return []
        ordered = sorted(missing)  # two replicas in the same order: no deadlock
        columns = [o for o, _ in ordered], [name for _, name in ordered]
        return await _found_or_made(
            connection, _SELECT.format(table=table), _INSERT.format(table=table), *columns
        )


async def _found_or_made(
    connection: Session, select: str, insert: str, *columns: list[Any]
) -> list[asyncpg.Record]:
    rows = await connection.fetch(select, *columns)
    if len(rows) < len(columns[0]):  # asked first: an insert that conflicts burns a number
        await connection.execute(insert, *columns)
        rows = await connection.fetch(select, *columns)
    return rows
