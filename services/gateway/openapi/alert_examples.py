"""Examples of the models of alert rules and alerts."""

from __future__ import annotations

from typing import Any

_RULE = {
    "name": "Boiler too hot",
    "description": "Somebody must open the valve.",
    "severity": "critical",
    "condition": {
        "kind": "threshold",
        "metric": "temperature",
        "operator": ">",
        "value": 80.0,
        "hysteresis": 5.0,
        "for_s": 60,
    },
    "scope": {"kind": "devices", "device_ids": ["boiler-7"]},
    "cooldown_s": 600,
    "enabled": True,
}
_OF = {
    "id": "alert_5d41402abc4b2a76b9719d91",
    "state": "acknowledged",
    "rule_id": "rule_5n8p2x7m4k9q1w3z",
    "rule_name": "Boiler too hot",
    "kind": "threshold",
    "severity": "critical",
    "device_id": "boiler-7",
    "integration_id": None,
    "metric": "temperature",
    "summary": "temperature of boiler-7 is 83.5: > 80 for 60 s",
    "since": "2026-11-22T02:39:00Z",
    "opened_at": "2026-11-22T02:40:00Z",
    "acknowledged_at": "2026-11-22T02:43:00Z",
    "acknowledged_by": "key:key_7h2k9q0w4e8r1t5y",
    "resolved_at": None,
    "reason": None,
    "evidence": {"value": 83.5, "timestamp": "2026-11-22T02:40:00Z", "sequence": 4711},
}
ALERT_EXAMPLES: dict[str, Any] = {
    "NewAlertRule": _RULE,
    "AlertRuleChange": {"severity": "warning", "enabled": False},
    "AlertRuleView": {
        "id": "rule_5n8p2x7m4k9q1w3z",
        **_RULE,
        "built_in": False,
        "created_at": "2026-11-22T02:30:00Z",
    },
    "RuleToPreview": {
        "condition": _RULE["condition"],
        "scope": _RULE["scope"],
        "cooldown_s": 600,
        "from": "2026-11-21T03:00:00Z",
        "to": "2026-11-22T03:00:00Z",
    },
    "AlertPreview": {
        "start": "2026-11-21T03:00:00Z",
        "end": "2026-11-22T03:00:00Z",
        "complete": True,
        "judged": 8640,
        "opened": 1,
        "devices": ["boiler-7"],
        "items": [
            {
                "device_id": "boiler-7",
                "integration_id": None,
                "since": "2026-11-22T02:39:00Z",
                "opened_at": "2026-11-22T02:40:00Z",
                "resolved_at": None,
                "summary": "temperature of boiler-7 is 83.5: > 80 for 60 s",
            }
        ],
    },
    "AlertNote": {"note": "on my way"},
    "AlertRow": _OF,
    "Alert": {
        **_OF,
        "history": [
            {
                "at": "2026-11-22T02:40:00Z",
                "event": "opened",
                "actor": "telemetry",
                "summary": _OF["summary"],
                "reason": None,
                "note": None,
                "evidence": _OF["evidence"],
            },
            {
                "at": "2026-11-22T02:43:00Z",
                "event": "acknowledged",
                "actor": "key:key_7h2k9q0w4e8r1t5y",
                "summary": _OF["summary"],
                "reason": None,
                "note": "on my way",
                "evidence": {},
            },
        ],
    },
}
