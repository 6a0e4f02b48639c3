"""What happened in an organization, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_

from contracts.calls import Page
from contracts.telemetry import ActivityRow, ListActivity
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import activity

_KIND = "activity"
ORDER = (activity.c.time, activity.c.sequence, activity.c.epoch)
_SHOWN = ActivityRow.model_fields.keys()


async def list_activity(store: ReadStore, query: ListActivity) -> Page[ActivityRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, last.time, last.sequence, last.epoch)
    items = [ActivityRow(**{name: getattr(row, name) for name in _SHOWN}) for row in page]
    return Page(items=items, next_cursor=cursor)


def conditions(query: ListActivity) -> list[ColumnElement[bool]]:
    """Its filters, without its cursor."""
    held = activity.c
    wanted: list[ColumnElement[bool]] = []
    if query.kind is not None:
        wanted.append(held.kind == query.kind)
    if query.status is not None:
        wanted.append(held.status == query.status)
    if query.integration_id is not None:
        # The index's own condition, said so that it is used.
        wanted += [
            func.starts_with(held.subject, "integration:"),
            held.subject == f"integration:{query.integration_id}",
        ]
    if query.from_ is not None:
        wanted.append(held.time >= query.from_)
    if query.to is not None:
        wanted.append(held.time < query.to)
    return wanted


def statement(query: ListActivity) -> Select[Any]:
    wanted = conditions(query)
    if query.cursor is not None:
        after = cursors.decode(_KIND, query.cursor, datetime, int, int)
        wanted += [activity.c.time <= after[0], tuple_(*ORDER) < tuple_(*after)]
    return (
        select(activity)
        .where(and_(True, *wanted))
        .order_by(*(column.desc() for column in ORDER))
        .limit(query.limit + 1)
    )
