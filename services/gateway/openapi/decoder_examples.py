"""Examples of the models around decoders."""

from __future__ import annotations

from typing import Any

from contracts.decoders import get

_STANDARD = get("standard")

DECODER_EXAMPLES: dict[str, Any] = {
    "MetricRow": {
        "name": "temperature",
        "kind": "number",
        "unit": "°C",
        "conflict": True,
        "uses": [
            {"unit": "°C", "kind": "number", "first_day": "2026-11-02", "last_day": "2026-11-21"},
            {"unit": "°F", "kind": "number", "first_day": "2026-11-14", "last_day": "2026-11-20"},
        ],
    },
    "DecoderView": {
        "name": _STANDARD.name,
        "version": _STANDARD.version,
        "description": _STANDARD.description,
        "settings_schema": _STANDARD.Settings.model_json_schema(),
        "replies": False,
        "remembers": False,
        "example": {
            "topic": _STANDARD.example.topic,
            "payload": _STANDARD.example.payload.decode(),
            "encoding": "utf-8",
        },
    },
    "MessageToPreview": {
        "decoder": {"name": "vmark", "settings": {"time_zone": "Europe/Berlin"}},
        "topic": "$sys/version/1.0/devices/2400390030314701/properties/up",
        "payload": {
            "device": "2400390030314701",
            "handle": "properties_report",
            "paras": {"temperature": 22.77, "RSSI": -20},
            "time": "2026-11-21_19:05:12.214",
        },
    },
    "DecoderPreview": {
        "outcome": "readings",
        "samples": [
            {
                "device_id": "2400390030314701",
                "timestamp": "2026-11-21T18:05:12.214Z",
                "flags": [],
                "readings": [
                    {"metric": "temperature", "value": 22.77, "unit": None},
                    {"metric": "RSSI", "value": -20, "unit": None},
                ],
            }
        ],
        "readings": 2,
        "presence": [],
        "reply": {
            "topic": "$sys/version/1.0/devices/2400390030314701/properties/up_reply",
            "payload": '{"result":0}',
        },
        "failure": None,
    },
}
