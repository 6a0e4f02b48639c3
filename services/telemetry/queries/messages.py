"""Raw messages, newest first as they were received."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, and_, select, tuple_

from contracts.calls import Page
from contracts.telemetry import ListMessages, MessageRow
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import devices, messages

_KIND = "messages"
_ORDER = (messages.c.received_at, messages.c.sequence, messages.c.epoch)


async def list_messages(store: ReadStore, query: ListMessages) -> Page[MessageRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, query.organization, last.received_at, last.sequence, last.epoch)
    return Page(items=[_row(row) for row in page], next_cursor=cursor)


def statement(query: ListMessages) -> Select[Any]:
    held = messages.c
    wanted = []
    if query.device_id is not None:
        wanted.append(
            held.device == select(devices.c.id).where(devices.c.name == query.device_id).scalar_subquery()
        )
    if query.integration_id is not None:
        wanted.append(held.source == query.integration_id)
    if query.from_ is not None:
        wanted.append(held.received_at >= query.from_)
    if query.to is not None:
        wanted.append(held.received_at < query.to)
    if query.cursor is not None:
        after = cursors.decode(_KIND, query.organization, query.cursor, datetime, int, int)
        wanted += [held.received_at <= after[0], tuple_(*_ORDER) < tuple_(*after)]
    page = (
        select(messages)
        .where(and_(True, *wanted))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(query.limit + 1)
        .subquery("page")
    )
    return (
        select(page, devices.c.name.label("device_name"))
        .outerjoin(devices, devices.c.id == page.c.device)
        .order_by(page.c.received_at.desc(), page.c.sequence.desc(), page.c.epoch.desc())
    )


def _row(row: Row[Any]) -> MessageRow:
    encoding: Literal["utf-8", "base64"] = "utf-8"
    try:
        payload = row.payload.decode()
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(row.payload).decode(), "base64"
    return MessageRow(
        sequence=row.sequence,
        received_at=row.received_at,
        device_id=row.device_name,
        topic=row.topic,
        integration_id=row.source,
        qos=row.qos,
        retain=row.retain,
        payload=payload,
        encoding=encoding,
        failure=row.failure,
    )
