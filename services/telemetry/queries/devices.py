"""Devices, newest first by when they were first heard of; one of them with its latest values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, Interval, Row, Select, Text, and_, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import array

from contracts.calls import Page
from contracts.failures import Refused
from contracts.telemetry import DeviceDetail, DeviceRow, GetDevice, LatestValue, ListDevices
from services.telemetry.described import Described
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.queries.telemetry import number
from services.telemetry.tables import device_metrics, devices, metrics, presence, samples

_KIND = "devices"
_PRESENCE = (presence.c.online, presence.c.since, presence.c.why)


async def list_devices(store: ReadStore, query: ListDevices) -> Page[DeviceRow]:
    rows = await store.read(query.organization, _newest(query))
    page = rows[: query.limit]
    cursor = cursors.encode(_KIND, page[-1].id) if len(rows) > query.limit else None
    return Page(items=[DeviceRow(**_held(row)) for row in page], next_cursor=cursor)


async def get_device(store: ReadStore, query: GetDevice, described: Described) -> DeviceDetail:
    """Refused("not_found") for one that was never heard of, or is another organization's."""
    rows = await store.read(query.organization, _with_latest(query.id))
    if not rows:
        raise Refused("not_found", "no such device")
    latest = {
        row.metric_name: LatestValue(
            value=row.other if row.other is not None else number(row.number),
            unit=row.unit or described.unit(query.organization, row.metric_name),
            timestamp=row.time,
        )
        for row in rows
        if row.time is not None
    }
    return DeviceDetail(**_held(rows[0]), latest=latest)


def _newest(query: ListDevices) -> Select[Any]:
    wanted = [devices.c.first_seen.is_not(None)]  # made, but its first message is not stored yet
    if query.cursor is not None:
        wanted.append(devices.c.id < cursors.decode(_KIND, query.cursor, int)[0])
    return (
        select(devices, *_PRESENCE)
        .select_from(devices.outerjoin(presence, presence.c.device == devices.c.id))
        .where(and_(*wanted))
        .order_by(devices.c.id.desc())
        .limit(query.limit + 1)
    )


def _with_latest(name: str) -> Select[Any]:
    """A row a metric: each looks into the index of the one day that holds its newest value."""
    held = samples.c
    day_start = func.timezone("UTC", cast(device_metrics.c.day, DateTime(timezone=False)))
    newest = (
        select(
            held.time,
            held.numbers[func.array_position(held.metrics, device_metrics.c.metric)].label("number"),
            held.others[cast(device_metrics.c.metric, Text)].label("other"),
            held.units[cast(device_metrics.c.metric, Text)].astext.label("unit"),
        )
        .where(
            held.device == devices.c.id,
            held.time >= day_start,
            held.time < day_start + literal("1 day").cast(Interval),
            held.metrics.contains(array([device_metrics.c.metric])),
        )
        .order_by(held.time.desc(), held.sequence.desc())
        .limit(1)
        .correlate(devices, device_metrics)
        .lateral("newest")
    )
    source = (
        devices.outerjoin(device_metrics, device_metrics.c.device == devices.c.id)
        .outerjoin(newest, true())
        .outerjoin(presence, presence.c.device == devices.c.id)
        .outerjoin(metrics, metrics.c.id == device_metrics.c.metric)
    )
    return (
        select(devices, *_PRESENCE, metrics.c.name.label("metric_name"), newest)
        .select_from(source)
        .where(devices.c.name == name, devices.c.first_seen.is_not(None))
        .order_by(metrics.c.name)
    )


def _held(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.name,
        "online": row.online,
        "online_since": row.since if row.online else None,
        "offline_since": row.since if row.online is False else None,
        "presence_from": row.why,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
    }
