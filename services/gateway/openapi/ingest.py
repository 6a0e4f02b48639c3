"""The schema of an ingested message: its model is msgspec's, which keeps the payload's bytes."""

from __future__ import annotations

from typing import Any

from contracts.topics import TOPIC_BYTES_MAX
from services.gateway.ingest_body import ID_CHARS_MAX, IngestMessage

INGEST_SCHEMA_NAME = IngestMessage.__name__
INGEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": INGEST_SCHEMA_NAME,
    "description": "Either `payload` or `payload_base64`.",
    "additionalProperties": False,
    "required": ["topic"],
    "oneOf": [{"required": ["payload"]}, {"required": ["payload_base64"]}],
    "properties": {
        "topic": {
            "type": "string",
            "minLength": 1,
            "maxLength": TOPIC_BYTES_MAX,
            "description": "Relative (`devices/d1/telemetry`), or with the organization's own prefix",
        },
        "payload": {"description": "Any JSON value; stored byte for byte as it was sent"},
        "payload_base64": {"type": "string", "contentEncoding": "base64", "description": "Any bytes"},
        "qos": {
            "type": "integer",
            "enum": [0, 1, 2],
            "default": 1,
            "description": "Recorded with the message",
        },
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": ID_CHARS_MAX,
            "description": "The sender's own: a message with an id of the last two minutes is not stored again",
        },
    },
}
