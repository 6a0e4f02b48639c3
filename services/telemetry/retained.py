"""Retained copies, which a broker hands out at each subscribing: no new readings where they are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.telemetry.checkpoints import Session
from services.telemetry.decoding import SampleRow

_KNOWN = (
    "SELECT o.name AS organization, d.name AS device, s.time, s.numbers, s.others,"
    " (SELECT array_agg(m.name ORDER BY one.at) FROM unnest(s.metrics) WITH ORDINALITY AS one (id, at)"
    " JOIN public.metrics m USING (id)) AS metrics"
    " FROM (SELECT DISTINCT *"
    " FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS r (org, device, time)) r"
    " JOIN public.organizations o ON o.name = r.org"
    " JOIN public.devices d ON d.organization = o.id AND d.name = r.device"
    " JOIN samples s ON s.device = d.id AND s.time = r.time"
)


async def new_ones(connection: Session, samples: Sequence[SampleRow]) -> list[int] | None:
    """Which to keep: all but retained copies of what is stored, or stands before them here. None: all."""
    retained = [row for row in samples if row.retained]
    if not retained:
        return None
    rows = await connection.fetch(
        _KNOWN, [r.organization for r in retained], [r.device for r in retained], [r.time for r in retained]
    )
    known = {
        (r["organization"], r["device"], r["time"], _values(r["metrics"], r["numbers"], _others(r)))
        for r in rows
    }
    kept = []
    for at, row in enumerate(samples):
        others = list((row.others or {}).values())
        key = (row.organization, row.device, row.time, _values(row.metrics, row.numbers, others))
        if row.retained and key in known:
            continue
        known.add(key)
        kept.append(at)
    return kept


def _others(row: Any) -> list[Any]:
    return list(json.loads(row["others"]).values()) if row["others"] else []


def _values(metrics: Sequence[str], numbers: Sequence[float | None], others: list[Any]) -> tuple[Any, ...]:
    """jsonb comes back with its keys in another order: what the other values are is enough."""
    return tuple(metrics), tuple(numbers), tuple(sorted(map(repr, others)))
