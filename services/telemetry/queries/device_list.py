"""Devices: searched, filtered, sorted, in pages that stay where they are while devices send.

Under row level security only B-trees are looked into (migration 0012 says why), so `q` is looked for among the words
of ids and names, and tags and integrations have rows of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP

from contracts.calls import Page
from contracts.telemetry import DeviceRow, ListDevices
from services.telemetry.queries import cursors
from services.telemetry.queries.devices import KNOWN, PRESENCE, shown
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import device_sources, device_tags, device_words, devices, presence

_KIND = "devices"
PARTS_MAX = 8  # words of `q`
_BEHIND_ALL = "\U0010ffff"
_NEVER = cast(literal(datetime(1970, 1, 1, tzinfo=UTC)), TIMESTAMP(timezone=True))
_ORDERS: dict[str, ColumnElement[Any]] = {
    "id": devices.c.name,
    "name": func.coalesce(devices.c.label, devices.c.name),
    "last_seen": func.coalesce(devices.c.last_seen, _NEVER),
    "messages": devices.c.messages,
}
_SORTING = {
    "enable_sort": "on"
}  # these orders have no index: its every update would cost what they cost seldom


async def list_devices(store: ReadStore, query: ListDevices) -> Page[DeviceRow]:
    by = query.sort.removeprefix("-")
    order = _ORDERS.get(by)
    rows = await store.read(
        query.organization, statement(query, order), _SORTING if order is not None else {}
    )
    page = rows[: query.limit]
    cursor = None
    if len(rows) > query.limit:
        last = page[-1]
        moved = () if by not in _MOVING else (last.placed,)
        cursor = cursors.encode(f"{_KIND} {query.sort}", query.organization, *moved, last.id)
    return Page(items=[DeviceRow(**shown(row)) for row in page], next_cursor=cursor)


def statement(query: ListDevices, order: ColumnElement[Any] | None) -> Select[Any]:
    wanted = [KNOWN, *_filters(query)]
    key = [devices.c.id] if order is None else [order, devices.c.id]
    descending = query.sort.startswith("-")
    if query.cursor is not None:
        here, there = tuple_(*key), _place(query, order)
        wanted.append(here < there if descending else here > there)
    columns: list[ColumnElement[Any]] = [*devices.c, *PRESENCE]
    if order is not None:
        columns.append(order.label("placed"))
    return (
        select(*columns)
        .select_from(devices.outerjoin(presence, presence.c.device == devices.c.id))
        .where(and_(*wanted))
        .order_by(*(column.desc() if descending else column for column in key))
        .limit(query.limit + 1)
    )


_MOVING = {"last_seen": datetime, "messages": int}


def _place(query: ListDevices, order: ColumnElement[Any] | None) -> Any:
    """Where the page before ended. What moves while devices send stands in the cursor; a name is looked up."""
    assert query.cursor is not None
    by, kind = query.sort.removeprefix("-"), f"{_KIND} {query.sort}"
    if by in _MOVING:
        return tuple_(*cursors.decode(kind, query.organization, query.cursor, _MOVING[by], int))
    [id] = cursors.decode(kind, query.organization, query.cursor, int)
    if order is None:
        return tuple_(id)
    before = devices.alias("before")
    columns = [before.c.name if by == "id" else func.coalesce(before.c.label, before.c.name), before.c.id]
    return select(*columns).where(before.c.id == id).scalar_subquery()


def _filters(query: ListDevices) -> list[ColumnElement[bool]]:
    found = [_has(device_words, _begins(part)) for part in (query.q or "").split()[:PARTS_MAX]]
    found += [_has(device_tags, device_tags.c.tag == tag) for tag in query.tag]
    if query.integration_id is not None:
        found.append(_has(device_sources, device_sources.c.source == query.integration_id))
    if query.online is not None:
        found.append(presence.c.online.is_(query.online))
    if query.hidden is not None:
        found.append(devices.c.hidden.is_(query.hidden))
    if query.seen_from is not None:
        found.append(devices.c.last_seen >= query.seen_from)
    if query.seen_to is not None:
        found.append(devices.c.last_seen < query.seen_to)
    return found


def _begins(part: str) -> ColumnElement[bool]:
    small = func.lower(literal(part))
    return and_(device_words.c.word >= small, device_words.c.word < small.concat(_BEHIND_ALL))


def _has(table: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return devices.c.id.in_(select(table.c.device).where(condition))
