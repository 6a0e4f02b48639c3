"""What the status of a link looks like, for the document and its readers."""

from __future__ import annotations

from typing import Any

LINK_STATUS: dict[str, Any] = {
    "integration_id": "int_7q4t8w1zbk3v9x2m",
    "state": "degraded",
    "reason": "link.silent",
    "detail": "no message for 1200 s; one is expected every 600 s",
    "since": "2026-11-21T18:20:00Z",
    "owner": "ingest-4fd1a2b3c4d5",
    "connected_since": "2026-11-21T17:00:00Z",
    "next_try_at": None,
    "last_message_at": "2026-11-21T18:00:00Z",
    "rate_in_per_s": 0.0,
    "rate_out_per_s": 0.0,
    "expected_interval_s": 600.0,
    "expected_interval_from": "given",
    "messages_in": 40312,
    "bytes_in": 4031200,
    "messages_out": 17,
    "in_flight": 0,
    "held_back": False,
    "duplicates": 3,
    "retained": 12,
    "dropped": 0,
    "dropped_by_broker": 0,
    "reconnects": 1,
    "last_errors": [
        {
            "at": "2026-11-21T16:59:58Z",
            "code": "broker.unreachable",
            "detail": "203.0.113.7 port 1883: Connection refused",
            "times": 4,
        }
    ],
    "subscriptions": [
        {
            "filter": "devices/+/telemetry",
            "qos": 1,
            "refused": None,
            "messages": 40312,
            "last_message_at": "2026-11-21T18:00:00Z",
        }
    ],
    "minutes": [
        {"at": "2026-11-21T18:00:00Z", "messages_in": 80, "bytes_in": 8000, "messages_out": 0, "errors": 0}
    ],
}
