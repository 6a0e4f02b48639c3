"""Samples, newest first by their time: all metrics of one message for one device and time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    FromClause,
    Integer,
    Row,
    Select,
    Table,
    Text,
    and_,
    any_,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from contracts.calls import Page
from contracts.decoders import FLAGS, REPLACED
from contracts.failures import Refused
from contracts.telemetry import ListTelemetry, Provenance, TelemetryRow, Value
from services.telemetry.described import Described
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import decoders, devices, metrics, samples

_KIND = "telemetry"
_ORDER = (samples.c.time, samples.c.sequence, samples.c.epoch, samples.c.position)


async def list_telemetry(store: ReadStore, query: ListTelemetry, described: Described) -> Page[TelemetryRow]:
    """Refused("not_found") for a device that was never heard of."""
    rows = await store.read(query.organization, statement(query))
    if query.device_id:
        if set(query.device_id) - set(rows[0].known):
            raise Refused("not_found", "no such device")
        rows = [row for row in rows if row.time is not None]
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(
        _KIND, query.organization, last.time, last.sequence, last.epoch, last.position
    )
    return Page(items=[_row(row, query, described) for row in page], next_cursor=cursor)


def statement(query: ListTelemetry) -> Select[Any]:
    held = samples.c
    wanted = []
    if len(query.device_id) == 1:  # walks the device's own index in the order of the list
        device = select(devices.c.id).where(devices.c.name == query.device_id[0]).scalar_subquery()
        wanted.append(held.device == device)
    elif query.device_id:
        wanted.append(held.device == any_(ids(devices, query.device_id)))
    if query.metric:
        wanted.append(held.metrics.overlap(ids(metrics, query.metric)))
    if query.integration_id:
        wanted.append(held.source.in_(query.integration_id))
    if query.from_ is not None:
        wanted.append(held.time >= query.from_)
    if query.to is not None:
        wanted.append(held.time < query.to)
    if query.cursor is not None:
        after = cursors.decode(_KIND, query.organization, query.cursor, datetime, int, int, int)
        # said twice: this one lets whole days be left out
        wanted += [held.time <= after[0], tuple_(*_ORDER) < tuple_(*after)]
    page = (
        select(samples)
        .where(and_(True, *wanted))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(query.limit + 1)
        .subquery("page")
    )
    one = (
        func.unnest(page.c.metrics).table_valued("metric", with_ordinality="at", name="one").render_derived()
    )
    names = (
        select(func.array_agg(aggregate_order_by(metrics.c.name, one.c.at)))
        .select_from(one.join(metrics, metrics.c.id == cast(one.c.metric, Integer)))
        .scalar_subquery()
        .label("names")
    )
    columns: list[Any] = [page, devices.c.name.label("device_name"), names]
    source: FromClause = page.join(devices, devices.c.id == page.c.device)
    if query.provenance:
        columns += [decoders.c.name.label("decoder_name"), decoders.c.version, decoders.c.settings_hash]
        source = source.outerjoin(decoders, decoders.c.id == page.c.decoder)
    rows = select(*columns).select_from(source)
    if not query.device_id:
        return rows.order_by(*_newest_first(page))
    # Beside each row, and beside one of NULLs where there is none: which of the devices there are.
    known = select(devices.c.name).where(
        devices.c.name.in_(query.device_id), devices.c.first_seen.is_not(None)
    )
    found, one_row = rows.subquery("found"), select(literal(1)).subquery("one_row")
    names_known = func.array(known.scalar_subquery(), type_=ARRAY(Text)).label("known")
    return (
        select(found, names_known)
        .select_from(one_row.outerjoin(found, true()))
        .order_by(*_newest_first(found))
    )


def _newest_first(rows: FromClause) -> list[Any]:
    return [rows.c[column.name].desc() for column in _ORDER]


def ids(table: Table, names: tuple[str, ...]) -> Any:
    """Found once, before the scan."""
    ids = select(table.c.id).where(table.c.name.in_(names)).scalar_subquery()
    return func.array(ids, type_=ARRAY(Integer))


def number(value: float) -> float | int:
    """A whole one is shown as one, as most devices sent it."""
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _row(row: Row[Any], query: ListTelemetry, described: Described) -> TelemetryRow:
    shown = set(query.metric)
    values: dict[str, Value] = {}
    units: dict[str, str] = {}
    others, said_units = row.others or {}, row.units or {}
    for id, name, value in zip(row.metrics, row.names, row.numbers, strict=True):
        if shown and name not in shown:
            continue
        values[name] = others[str(id)] if value is None or str(id) in others else number(value)
        unit = said_units.get(str(id)) or described.unit(query.organization, name)
        if unit is not None:
            units[name] = unit
    return TelemetryRow(
        device_id=row.device_name,
        timestamp=row.time,
        metrics=values,
        units=units,
        topic=row.topic,
        integration_id=row.source,
        time_replaced=row.flags & REPLACED != 0,
        sequence=row.sequence,
        provenance=_provenance(row) if query.provenance else None,
    )


def _provenance(row: Row[Any]) -> Provenance:
    return Provenance(
        epoch=row.epoch,
        sequence=row.sequence,
        position=row.position,
        decoder=row.decoder_name,
        version=row.version,
        settings_hash=row.settings_hash,
        flags=tuple(name for bit, name in FLAGS.items() if row.flags & bit),
    )
