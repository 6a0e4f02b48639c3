"""Examples of dead letters, for the document."""

from __future__ import annotations

from typing import Any

_CREATED = "2026-11-21T18:00:00Z"
_DEAD_LETTER = {
    "id": "dl_4b1f0a92c7d3e5f60718293a",
    "state": "open",
    "received_at": "2026-11-21T18:05:12.347Z",
    "reason": "payload.not_json",
    "detail": "the payload ends early, at byte 21",
    "decoder": "standard@2",
    "integration_id": "hosted",
    "topic": "org_k3v9x2m7q4t8w1zb/devices/boiler-7/telemetry",
    "payload_bytes": 21,
    "preview": '{"temperature": 21.5,',
    "closed_at": None,
    "closed_by": None,
    "sequence": 81724,
}

DEAD_LETTER_EXAMPLES: dict[str, Any] = {
    "DeadLetterRow": _DEAD_LETTER,
    "DeadLetter": {
        **_DEAD_LETTER,
        "payload_base64": "eyJ0ZW1wZXJhdHVyZSI6IDIxLjUs",
        "payload_text": '{"temperature": 21.5,',
        "payload_hex": "00000000  7b 7d                                              |{}|",
    },
    "DeadLetterCounts": {
        "total": 12,
        "items": [
            {
                "reason": "payload.not_json",
                "decoder": "standard@2",
                "integration_id": "hosted",
                "count": 12,
                "first_at": _CREATED,
                "last_at": "2026-11-21T18:05:12.347Z",
            }
        ],
    },
    "ChosenLetters": {"filter": {"reason": "payload.not_json", "from": _CREATED}},
    "Retried": {
        "chosen": 12,
        "resolved": 12,
        "gone": 0,
        "finished": True,
        "jobs": ["redec_5n8p2x7m4k9q1w3z"],
        "more": False,
    },
    "Discarded": {"discarded": 12, "more": False},
}
