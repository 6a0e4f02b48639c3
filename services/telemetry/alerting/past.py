"""What a rule on trial is shown: the newest readings, messages or entries of a time, in one statement each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.activity import ActivityRecorded
from contracts.alert_rules import (
    Condition,
    DeadLetterRate,
    LinkDown,
    NoData,
    RateOfChange,
    RefusedConnects,
    Scope,
    TaggedDevices,
    TheseDevices,
    Threshold,
)
from services.telemetry.alerting.of_activity import LINK_KINDS, REFUSED_KIND
from services.telemetry.alerting.trial import Came, Happened, Past, Reading
from services.telemetry.queries.session import ReadStore
from services.telemetry.queries.telemetry import ids
from services.telemetry.tables import activity, dead_letters, device_tags, devices, messages, metrics, samples

# Of named devices their own index is walked, and what it finds put in order.
_NAMED: Mapping[str, str] = MappingProxyType({"enable_sort": "on"})
_ALL: Mapping[str, str] = MappingProxyType({})


async def past(
    store: ReadStore,
    organization: str,
    condition: Condition,
    scope: Scope,
    first: datetime,
    last: datetime,
    most: int,
) -> list[Past]:
    """The newest first, at most so many."""
    statement = _statement(condition, scope, first, last, most)
    if statement is None:
        return []
    rows = await store.read(organization, statement, _ALL if scope.kind == "all" else _NAMED)
    return [_past(condition, row) for row in rows]


def _statement(
    condition: Condition, scope: Scope, first: datetime, last: datetime, most: int
) -> Select[Any] | None:
    match condition:
        case Threshold(metric=str(metric)) | RateOfChange(metric=str(metric)) | NoData(metric=str(metric)):
            return _readings(metric, scope, first, last, most)
        case NoData():
            return _messages(scope, first, last, most)
        case DeadLetterRate():
            return _letters(first, last, most)
        case LinkDown():
            return _activity(LINK_KINDS, first, last, most)
        case RefusedConnects():
            return _activity((REFUSED_KIND,), first, last, most)
    return None  # presence is not kept by time


def _past(condition: Condition, row: Any) -> Past:
    metric = getattr(condition, "metric", None)
    if metric is not None:
        return Reading(row.time, row.sequence, row.device, metric, row.number, row.other)
    if isinstance(condition, NoData):
        return Came(row.received_at, row.sequence, row.device, "", None)
    if isinstance(condition, DeadLetterRate):
        return Came(row.received_at, row.sequence, None, row.source, row.reason)
    names = ("kind", "status", "summary", "subject", "device_id", "reason", "details")
    return Happened(row.time, ActivityRecorded(**{name: getattr(row, name) for name in names}))


def _readings(metric: str, scope: Scope, first: datetime, last: datetime, most: int) -> Select[Any]:
    held = samples.c
    id = select(metrics.c.id).where(metrics.c.name == metric).scalar_subquery()
    return (
        select(
            held.time,
            held.sequence,
            _name(held.device),
            held.numbers[func.array_position(held.metrics, id)].label("number"),
            held.others[cast(id, Text)].label("other"),
        )
        .where(held.metrics.overlap(ids(metrics, (metric,))), *_of(held.device, scope))
        .where(held.time >= first, held.time < last)
        .order_by(held.time.desc(), held.sequence.desc())
        .limit(most)
    )


def _messages(scope: Scope, first: datetime, last: datetime, most: int) -> Select[Any]:
    held = messages.c
    return (
        select(held.received_at, held.sequence, _name(held.device))
        .where(held.device.is_not(None), *_of(held.device, scope))
        .where(held.received_at >= first, held.received_at < last)
        .order_by(held.received_at.desc(), held.sequence.desc())
        .limit(most)
    )


def _letters(first: datetime, last: datetime, most: int) -> Select[Any]:
    held = dead_letters.c
    return (
        select(held.received_at, held.sequence, held.source, held.reason)
        .where(held.received_at >= first, held.received_at < last)
        .order_by(held.received_at.desc(), held.sequence.desc())
        .limit(most)
    )


def _activity(kinds: Collection[str], first: datetime, last: datetime, most: int) -> Select[Any]:
    held = activity.c
    return (
        select(activity)
        .where(held.kind.in_(sorted(kinds)), held.time >= first, held.time < last)
        .order_by(held.time.desc(), held.sequence.desc())
        .limit(most)
    )


def _name(device: ColumnElement[Any]) -> Any:
    return select(devices.c.name).where(devices.c.id == device).scalar_subquery().label("device")


def _of(device: ColumnElement[Any], scope: Scope) -> list[ColumnElement[bool]]:
    match scope:
        case TheseDevices(device_ids=names):
            return [device == any_(ids(devices, names))]
        case TaggedDevices(tag=tag):
            tagged = select(device_tags.c.device).where(device_tags.c.tag == tag).scalar_subquery()
            return [device == any_(func.array(tagged, type_=ARRAY(Integer)))]
    return []
