"""One device with its latest values; `device_list` has them all."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, Interval, Row, Select, Text, cast, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import array

from contracts.failures import Refused
from contracts.telemetry import DeviceDetail, GetDevice, LatestValue
from services.telemetry.described import Described
from services.telemetry.queries.session import ReadStore
from services.telemetry.queries.telemetry import number
from services.telemetry.tables import device_metrics, devices, metrics, presence, rollups_1h, samples

PRESENCE = (presence.c.online, presence.c.since, presence.c.why)
# One that is in the dictionary only is none: its first message is not stored yet, or it was forgotten.
KNOWN = or_(devices.c.first_seen.is_not(None), devices.c.described_at.is_not(None))


async def get_device(store: ReadStore, query: GetDevice, described: Described) -> DeviceDetail:
    """Refused("not_found") for one that was never heard of nor described, or is another organization's."""
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
    return DeviceDetail(**shown(rows[0]), latest=latest)


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
    # Of a time whose samples are kept no longer, what the roll-ups of its hours say.
    rolled = (
        select(rollups_1h.c.last_at, rollups_1h.c.last, rollups_1h.c.last_other)
        .where(
            newest.c.time.is_(None),
            rollups_1h.c.device == devices.c.id,
            rollups_1h.c.metric == device_metrics.c.metric,
            rollups_1h.c.time >= day_start,
            rollups_1h.c.time < day_start + literal("1 day").cast(Interval),
        )
        .order_by(rollups_1h.c.time.desc())
        .limit(1)
        .correlate(devices, device_metrics, newest)
        .lateral("rolled")
    )
    source = (
        devices.outerjoin(device_metrics, device_metrics.c.device == devices.c.id)
        .outerjoin(newest, true())
        .outerjoin(rolled, true())
        .outerjoin(presence, presence.c.device == devices.c.id)
        .outerjoin(metrics, metrics.c.id == device_metrics.c.metric)
    )
    return (
        select(
            devices,
            *PRESENCE,
            metrics.c.name.label("metric_name"),
            newest.c.unit,
            func.coalesce(newest.c.time, rolled.c.last_at).label("time"),
            func.coalesce(newest.c.number, rolled.c.last).label("number"),
            func.coalesce(newest.c.other, rolled.c.last_other).label("other"),
        )
        .select_from(source)
        .where(devices.c.name == name, KNOWN)
        .order_by(metrics.c.name)
    )


def shown(row: Row[Any]) -> dict[str, Any]:
    """What a DeviceRow says of it."""
    return {
        "id": row.name,
        "name": row.label,
        "tags": tuple(row.tags),
        "metadata": row.metadata,
        "hidden": row.hidden,
        "messages": row.messages,
        "online": row.online,
        "online_since": row.since if row.online else None,
        "offline_since": row.since if row.online is False else None,
        "presence_from": row.why,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
    }
