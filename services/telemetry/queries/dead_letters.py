"""Dead letters, newest first; one with its whole payload; how many of each reason."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, tuple_

from contracts.calls import Page
from contracts.dead_letter_calls import (
    CountDeadLetters,
    DeadLetter,
    DeadLetterCount,
    DeadLetterCounts,
    DeadLetterFilter,
    DeadLetterRow,
    GetDeadLetter,
    ListDeadLetters,
)
from contracts.failures import Refused
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import dead_letters

_KIND = "dead letters"
_PREVIEW_BYTES = 200
_HEX_BYTES = 4096
_GROUPS_MAX = 1000
_ORDER = (dead_letters.c.received_at, dead_letters.c.sequence)
_SHOWN = [column for column in dead_letters.c if column.name not in ("payload", "subject", "stream_created")]
_SIZE = func.length(dead_letters.c.payload).label("payload_bytes")


async def list_dead_letters(store: ReadStore, query: ListDeadLetters) -> Page[DeadLetterRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, query.organization, last.received_at, last.sequence)
    return Page(items=[DeadLetterRow(**_row(row, row.start)) for row in page], next_cursor=cursor)


async def get_dead_letter(store: ReadStore, query: GetDeadLetter) -> DeadLetter:
    """Refused("not_found") for one that is not there, or is another organization's."""
    wanted = select(*_SHOWN, dead_letters.c.payload, _SIZE).where(dead_letters.c.id == query.id).limit(1)
    rows = await store.read(query.organization, wanted)
    if not rows:
        raise Refused("not_found", "no such dead letter")
    payload: bytes = rows[0].payload
    return DeadLetter(
        **_row(rows[0], payload[:_PREVIEW_BYTES]),
        payload_base64=base64.b64encode(payload).decode(),
        payload_text=_text(payload),
        payload_hex="\n".join(_dumped(payload[:_HEX_BYTES])),
    )


async def count_dead_letters(store: ReadStore, query: CountDeadLetters) -> DeadLetterCounts:
    held = dead_letters.c
    key = (held.reason, held.decoder, held.source)
    counted = (
        select(
            *key,
            func.count().label("number"),
            func.min(held.received_at).label("first"),
            func.max(held.received_at).label("last"),
        )
        .where(and_(True, *wanted(query)))
        .group_by(*key)
        .order_by(func.count().desc())
        .limit(_GROUPS_MAX)
    )
    items = [
        DeadLetterCount(
            reason=row.reason,
            decoder=row.decoder,
            integration_id=row.source,
            count=row.number,
            first_at=row.first,
            last_at=row.last,
        )
        for row in await store.read(query.organization, counted)
    ]
    return DeadLetterCounts(total=sum(item.count for item in items), items=items)


def wanted(chosen: DeadLetterFilter) -> list[ColumnElement[bool]]:
    """The filter's conditions."""
    held = dead_letters.c
    same = {
        held.state: chosen.state,
        held.reason: chosen.reason,
        held.source: chosen.integration_id,
        held.topic: chosen.topic,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in same.items() if value is not None
    ]
    if chosen.decoder is not None:  # with its version (`standard@2`), or in all of them
        conditions.append(
            or_(held.decoder == chosen.decoder, func.split_part(held.decoder, "@", 1) == chosen.decoder)
        )
    if chosen.from_ is not None:
        conditions.append(held.received_at >= chosen.from_)
    if chosen.to is not None:
        conditions.append(held.received_at < chosen.to)
    return conditions


def statement(query: ListDeadLetters) -> Select[Any]:
    conditions = wanted(query)
    if query.cursor is not None:
        after = cursors.decode(_KIND, query.organization, query.cursor, datetime, int)
        conditions += [dead_letters.c.received_at <= after[0], tuple_(*_ORDER) < tuple_(*after)]
    start = func.substr(dead_letters.c.payload, 1, _PREVIEW_BYTES).label("start")
    return (
        select(*_SHOWN, start, _SIZE)
        .where(and_(True, *conditions))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(query.limit + 1)
    )


def _row(row: Row[Any], start: bytes) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "received_at": row.received_at,
        "reason": row.reason,
        "detail": row.detail,
        "decoder": row.decoder,
        "integration_id": row.source,
        "topic": row.topic,
        "payload_bytes": row.payload_bytes,
        "preview": start.decode(errors="replace"),
        "closed_at": row.closed_at,
        "closed_by": row.closed_by,
        "sequence": row.sequence,
    }


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _dumped(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{at:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  |{shown}|"
