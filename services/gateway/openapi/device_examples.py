"""Examples of the models of devices."""

from __future__ import annotations

from typing import Any

_SAID = {
    "name": "Boiler, upper floor",
    "tags": ["floor 3", "heating"],
    "metadata": {"serial": "B-1187", "installed": 2024},
    "hidden": False,
}
_DEVICE = {
    "id": "boiler-7",
    **_SAID,
    "messages": 86400,
    "online": True,
    "online_since": "2026-11-21T18:00:00Z",
    "offline_since": None,
    "presence_from": "connected",
    "first_seen": "2026-11-21T18:00:00Z",
    "last_seen": "2026-11-21T18:05:12.345Z",
}
DEVICE_EXAMPLES: dict[str, Any] = {
    "DeviceChange": _SAID,
    "DeviceSettings": {"id": "boiler-7", **_SAID},
    "Erasure": {
        "id": "erase_5n8p2x7m4k9q1w3z",
        "device_id": "boiler-7",
        "state": "running",
        "forgotten_at": "2026-11-22T03:00:00Z",
        "began_at": "2026-11-22T03:00:00.020Z",
        "finished_at": None,
        "step": "readings",
        "readings": 40000,
        "messages": 0,
        "dead_letters": 0,
        "commands": 0,
    },
    "PresencePage": {
        "at": "2026-11-21T18:05:12.345Z",
        "now": {"devices": 1204, "online": 1180, "offline": 21, "unknown": 3, "hidden": 8},
        "start": "2026-11-21T18:02:00Z",
        "end": "2026-11-21T18:05:12.345Z",
        "interval": "1m",
        "timestamps": [
            "2026-11-21T18:02:00Z",
            "2026-11-21T18:03:00Z",
            "2026-11-21T18:04:00Z",
            "2026-11-21T18:05:00Z",
        ],
        "online": [1182, None, 1179, 1180],
    },
    "DeviceRow": _DEVICE,
    "DeviceDetail": {
        **_DEVICE,
        "latest": {"temperature": {"value": 64.8, "unit": "°C", "timestamp": "2026-11-21T18:05:12.345Z"}},
    },
}
