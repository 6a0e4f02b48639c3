"""Webhooks, their calls and their tests, as the document shows them."""

from __future__ import annotations

from typing import Any

_ID = "whk_8w1zbk3v9x2m7q4t"
_CREATED = "2026-11-21T18:00:00Z"
_SETTINGS: dict[str, Any] = {
    "name": "Operations",
    "url": "https://hooks.example.com/hybridmq",
    "events": ["alert.*", "link.down", "message"],
    "integration_id": None,
    "topic_filters": ["+/devices/+/telemetry"],
    "device_ids": [],
    "ordered": True,
}
_VIEW = {
    "id": _ID,
    **_SETTINGS,
    "headers": ["Authorization"],
    "subscription": None,
    "created_at": _CREATED,
    "previous_secret_until": None,
    "paused": None,
    "paused_detail": "",
}
_FAILURE = {
    "at": "2026-11-21T18:05:12.345Z",
    "duration_ms": 31.2,
    "status": 503,
    "code": "webhook.refused",
    "detail": "HTTP 503",
}
_STATE = {
    "state": "failing",
    "paused": None,
    "failing_since": "2026-11-21T18:05:12.345Z",
    "failures": 3,
    "delivered": 1204,
    "failed": 5,
    "dead": 0,
    "skipped": 0,
    "waiting": 2,
    "behind": {"ACTIVITY": 0, "MESSAGES": 120},
    "last_success_at": "2026-11-21T18:04:59.001Z",
    "last_failure": _FAILURE,
}
WEBHOOK_EXAMPLES: dict[str, Any] = {
    "NewWebhook": {**_SETTINGS, "headers": {"Authorization": "Bearer example"}},
    "WebhookChange": {"url": "https://hooks.example.com/v2"},
    "SecretRotation": {"grace_seconds": 86400},
    "Resumption": {"skip_backlog": False},
    "WebhookView": _VIEW,
    "WebhookWithSecret": {**_VIEW, "secret": "whsec_…"},
    "WebhookDetail": {**_VIEW, "delivery": _STATE},
    "WebhookDelivery": {
        "id": "msg_4f1d0c7a9be2a6d85c31",
        "type": "message",
        "state": "waiting",
        "device_id": "boiler-7",
        "messages": 12,
        "planned_at": _CREATED,
        "attempts": 2,
        "next_attempt_at": "2026-11-21T18:10:12Z",
        "last_attempt_at": "2026-11-21T18:05:12.345Z",
        "status": 503,
        "duration_ms": 31.2,
        "code": "webhook.refused",
        "detail": "HTTP 503",
    },
    "WebhookTested": {
        "ok": True,
        "url": _SETTINGS["url"],
        "headers": {
            "content-type": "application/json",
            "webhook-id": "test_019a9f1e7d4c7cc19e53",
            "webhook-timestamp": "1795284312",
            "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        },
        "body": '{"type":"webhook.test","timestamp":"2026-11-21T18:05:12.345Z","data":{}}',
        "duration_ms": 31.2,
        "status": 200,
        "answer": "ok",
        "step": None,
        "code": None,
        "detail": "",
    },
    "DeliveriesRetried": {"retried": 3},
}
