"""Examples of the models of redecodes."""

from __future__ import annotations

from typing import Any

_DECODER = {"name": "custom", "settings": {"telemetry_path": "body.values"}}
_THEN = {"value": 21.5, "unit": None, "timestamp": "2026-11-21T17:00:00Z"}
_READING = {
    "device_id": "boiler-7",
    "metric": "temperature",
    "sequence": 4711,
    "topic": "org_k3v9x2m7q4t8w1zb/devices/boiler-7/telemetry",
    "before": None,
    "after": _THEN,
}
REDECODE = {
    "id": "redec_5n8p2x7m4k9q1w3z",
    "integration_id": "hosted",
    "start": "2026-11-01T00:00:00Z",
    "end": "2026-11-21T18:00:00Z",
    "decoder": _DECODER,
    "decoder_version": 1,
    "state": "running",
    "ordered_at": "2026-11-21T18:00:00Z",
    "began_at": "2026-11-21T18:00:01Z",
    "finished_at": None,
    "messages": 120000,
    "added": 120000,
    "removed": 360000,
    "changed": 0,
    "failed": 2,
    "resolved": 12,
    "progress": 0.4,
    "messages_per_s": 9000.0,
    "left_s": 20.0,
    "log_from": "2026-10-22T18:00:00Z",
    "error": None,
}
REDECODE_EXAMPLES: dict[str, Any] = {
    "NewRedecode": {
        "integration_id": "hosted",
        "from": "2026-11-01T00:00:00Z",
        "to": None,
        "decoder": _DECODER,
        "dry_run": True,
    },
    "Redecode": REDECODE,
    "RedecodePreview": {
        "messages": 5000,
        "complete": False,
        "looked_until": "2026-11-02T03:00:00Z",
        "log_from": "2026-10-22T18:00:00Z",
        "added": 1,
        "removed": 1,
        "changed": 0,
        "unchanged": 0,
        "failed": 0,
        "resolved": 0,
        "samples_added": [_READING],
        "samples_removed": [
            {**_READING, "metric": "body.values.temperature", "before": _THEN, "after": None}
        ],
        "samples_changed": [],
        "failures": {},
    },
}
