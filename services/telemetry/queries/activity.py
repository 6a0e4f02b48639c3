"""What happened in an organization, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, func, or_, select, tuple_

from contracts.activity_kinds import direction_of, kinds_of
from contracts.calls import Page
from contracts.failures import Refused
from contracts.telemetry import ActivityRow, GetActivity, ListActivity
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import activity

_KIND = "activity"
ORDER = (activity.c.time, activity.c.sequence, activity.c.epoch)
_SHOWN = ActivityRow.model_fields.keys() - {"direction"}
WORDS_MAX = 8
LOOKED_BACK = timedelta(days=7)  # for words, where nobody says since when: there is no index for them


async def list_activity(store: ReadStore, query: ListActivity) -> Page[ActivityRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, query.organization, last.time, last.sequence, last.epoch)
    return Page(items=[_shown(row) for row in page], next_cursor=cursor)


async def get_activity(store: ReadStore, query: GetActivity) -> ActivityRow:
    """Refused("not_found") also for another organization's."""
    held = activity.c
    statement = select(activity).where(held.id == query.id).order_by(held.time.desc()).limit(1)
    rows = await store.read(query.organization, statement)
    if not rows:
        raise Refused("not_found", "no such entry")
    return _shown(rows[0])


def _shown(row: Row[Any]) -> ActivityRow:
    return ActivityRow(direction=direction_of(row.kind), **{name: getattr(row, name) for name in _SHOWN})


def conditions(query: ListActivity) -> list[ColumnElement[bool]]:
    """Its filters, without its cursor."""
    held = activity.c
    wanted: list[ColumnElement[bool]] = []
    if query.kind:
        wanted.append(or_(*(_is(kind) for kind in query.kind)))
    if query.direction is not None:
        wanted.append(_goes(query.direction))
    if query.status is not None:
        wanted.append(held.status == query.status)
    if query.device_id is not None:
        wanted.append(held.device_id == query.device_id)
    if query.integration_id is not None:
        wanted += _of("integration", query.integration_id)
    if query.credential_id is not None:
        wanted += _of("credential", query.credential_id)
    if query.actor is not None:
        wanted.append(held.actor == query.actor)
    since = query.from_
    if query.q is not None and query.q.split():
        wanted += [func.strpos(_SAID, word.lower()) > 0 for word in query.q.split()[:WORDS_MAX]]
        since = since or (query.to or datetime.now(UTC)) - LOOKED_BACK
    if since is not None:
        wanted.append(held.time >= since)
    if query.to is not None:
        wanted.append(held.time < query.to)
    return wanted


_SAID = func.lower(
    func.concat_ws(
        " ",
        *(activity.c[name] for name in ("kind", "summary", "subject", "device_id", "reason", "actor")),
        cast(activity.c.details, Text),
    )
)


def _is(kind: str) -> ColumnElement[bool]:
    if kind.endswith(".*"):
        return func.starts_with(activity.c.kind, kind[:-1])
    return activity.c.kind == kind


def _goes(direction: Any) -> ColumnElement[bool]:
    """What is not written any more counts as `own`, as it is shown."""
    if direction == "own":
        return activity.c.kind.not_in((*kinds_of("in"), *kinds_of("out")))
    return activity.c.kind.in_(kinds_of(direction))


def _of(entity: str, id: str) -> list[ColumnElement[bool]]:
    """With the index's own condition, said so that it is used."""
    subject = activity.c.subject
    return [func.starts_with(subject, f"{entity}:"), subject == f"{entity}:{id}"]


def statement(query: ListActivity) -> Select[Any]:
    wanted = conditions(query)
    if query.cursor is not None:
        after = cursors.decode(_KIND, query.organization, query.cursor, datetime, int, int)
        wanted += [activity.c.time <= after[0], tuple_(*ORDER) < tuple_(*after)]
    return (
        select(activity)
        .where(and_(True, *wanted))
        .order_by(*(column.desc() for column in ORDER))
        .limit(query.limit + 1)
    )
