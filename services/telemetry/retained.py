"""Retained copies, which a broker hands out at each subscribing: no new readings where they are known."""

from __future__ import annotations

import json
from typing import Any

from services.telemetry.checkpoints import Session
from services.telemetry.decoding import Batch

_KNOWN = (
    "SELECT device, time, metrics, numbers, others FROM samples"
    " JOIN (SELECT DISTINCT * FROM unnest($1::int[], $2::timestamptz[]) AS r (device, time)) r USING (device, time)"
)
_TIME, _DEVICE, _METRICS, _NUMBERS, _OTHERS = 0, 3, 9, 10, 11  # columns of a sample


async def without_known(
    connection: Session, samples: list[tuple[Any, ...]], batch: Batch
) -> list[tuple[Any, ...]]:
    """The same samples, less those retained copies that say what is stored, or what stands before them here."""
    retained = {at for at, row in enumerate(batch.samples) if row.retained}
    if not retained:
        return samples
    asked = [samples[at] for at in retained]
    rows = await connection.fetch(_KNOWN, [row[_DEVICE] for row in asked], [row[_TIME] for row in asked])
    known = {
        (r["device"], r["time"], tuple(r["metrics"]), tuple(r["numbers"]), _normal(r["others"])) for r in rows
    }
    kept = []
    for at, row in enumerate(samples):
        key = (row[_DEVICE], row[_TIME], tuple(row[_METRICS]), tuple(row[_NUMBERS]), _normal(row[_OTHERS]))
        if at in retained and key in known:
            continue
        known.add(key)
        kept.append(row)
    return kept


def _normal(others: str | None) -> str | None:
    """jsonb comes back with its keys in another order and other spacing."""
    return None if others is None else repr(sorted(json.loads(others).items()))
