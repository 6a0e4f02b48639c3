"""Readings for a file, oldest first: a page of lines."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from contracts.exports import ExportPage, ExportReadings
from contracts.failures import Refused
from services.telemetry.described import Described
from services.telemetry.queries import positions
from services.telemetry.queries.cursors import mark
from services.telemetry.queries.export_pages import gathered
from services.telemetry.queries.export_sql import Asked, statement
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import devices


async def export(store: ReadStore, query: ExportReadings, described: Described) -> tuple[ExportPage, bytes]:
    """Refused("not_found") for a device that was never heard of."""
    if query.first and query.device_id:
        await _check_devices(store, query)
    units = {name: said.unit for name, said in described.of(query.organization).items() if said.unit}
    asked = Asked(
        query.format,
        query.shape,
        devices=min(2, len(query.device_id)),
        metrics=bool(query.metric),
        sources=bool(query.integration_id),
        from_=query.from_ is not None,
        to=query.to is not None,
        resumed=query.position is not None,
        units=bool(units),
    )
    sql, names = statement(asked)
    held = _parameters(query, units)
    rows = await store.read(query.organization, sql.bindparams(**{name: held[name] for name in names}))
    return gathered(rows, held["rows"])


async def _check_devices(store: ReadStore, query: ExportReadings) -> None:
    known = select(devices.c.name).where(
        devices.c.name.in_(query.device_id), devices.c.first_seen.is_not(None)
    )
    if len(await store.read(query.organization, known)) < len(set(query.device_id)):
        raise Refused("not_found", "no such device")


def _parameters(query: ExportReadings, units: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "mark": mark(query.organization),
        "rows": query.rows,
        "device": next(iter(query.device_id), None),
        "devices": list(query.device_id),
        "metrics": list(query.metric),
        "sources": list(query.integration_id),
        "first": query.from_,
        "last": query.to,
        "unit_names": list(units),
        "units": list(units.values()),
    }
    if query.position is not None:
        most = positions.READING if query.shape == "long" else positions.SAMPLE
        time, others = positions.parse(query.position, query.organization, most)
        if query.shape == "long":
            made["rows"] += 1  # the sample of the position is looked at again: it may have been cut
        made |= dict(zip(("time", "sequence", "epoch", "position", "reading"), (time, *others), strict=False))
    return made
