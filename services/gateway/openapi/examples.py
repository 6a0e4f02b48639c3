"""One example per model of the API, for the document and its readers; a test holds each against its model."""

from __future__ import annotations

from typing import Any

from services.gateway.openapi.alert_examples import ALERT_EXAMPLES
from services.gateway.openapi.broker_examples import PRESET, VARIANTS, VIEW_SETTINGS, WARNINGS
from services.gateway.openapi.dead_letter_examples import DEAD_LETTER_EXAMPLES
from services.gateway.openapi.decoder_examples import DECODER_EXAMPLES
from services.gateway.openapi.device_examples import DEVICE_EXAMPLES
from services.gateway.openapi.link_examples import LINK_STATUS
from services.gateway.openapi.redecode_examples import REDECODE_EXAMPLES
from services.gateway.openapi.webhook_examples import WEBHOOK_EXAMPLES

_ORGANIZATION = "org_k3v9x2m7q4t8w1zb"
_CREATED = "2026-11-21T18:00:00Z"
_ENDPOINTS = {
    "mqtt": "mqtt://mqtt.example.com:1883",
    "ws": "ws://mqtt.example.com:9001/mqtt",
    "mqtts": "mqtts://mqtt.example.com:8883",
    "wss": "wss://mqtt.example.com:8084/mqtt",
}
_CREDENTIAL = {
    "id": "cred_5n8p2x7m4k9q1w3z",
    "name": "Boiler 7",
    "device_id": "boiler-7",
    "username": "cred_5n8p2x7m4k9q1w3z",
    "client_id": "boiler-7",
    "topic_prefix": _ORGANIZATION,
    "hint": "hmq_dev_3fKq",
    "publish": [f"{_ORGANIZATION}/devices/boiler-7/#"],
    "subscribe": [f"{_ORGANIZATION}/commands/boiler-7/#"],
    "state": "active",
    "created_at": _CREATED,
    "expires_at": None,
    "last_used_at": "2026-11-21T18:05:12.345Z",
    "secrets": [{"hint": "hmq_dev_3fKq", "valid_until": None, "last_used_at": "2026-11-21T18:05:12.345Z"}],
    "certificate": None,
}
_API_KEY = {
    "id": "key_2m7q4t8w1zbk3v9x",
    "name": "Dashboard",
    "scopes": ["read"],
    "hint": "hmq_key_9dLm",
    "created_at": _CREATED,
    "expires_at": None,
    "last_used_at": "2026-11-21T18:05:12.345Z",
    "state": "active",
}
_TOPICS = [{"filter": "devices/+/telemetry", "qos": 1}]
_DECODER = {"name": "standard", "settings": {}}
_INTEGRATION = {
    "id": "int_7q4t8w1zbk3v9x2m",
    "name": "Plant 1",
    "broker_type": "external",
    "settings": VIEW_SETTINGS,
    "has_secrets": ["password"],
    "topics": _TOPICS,
    "decoder": _DECODER,
    "created_at": _CREATED,
    "client_certificate": None,
    "ca_certificates": [],
    "warnings": WARNINGS,
}
_COMMAND = "cmd_5d41402abc4b2a76b971"
_STEPS = [
    {"name": "dns", "ok": True, "duration_ms": 3.1, "seen": "broker.example.com is 203.0.113.7"},
    {"name": "address", "ok": True, "duration_ms": 0.1, "seen": "every address may be connected to"},
    {"name": "tcp", "ok": True, "duration_ms": 18.4, "seen": "connected to 203.0.113.7 port 1883"},
    {
        "name": "mqtt",
        "ok": True,
        "duration_ms": 21.9,
        "seen": "CONNACK: accepted (MQTT 3.1.1) as hmq-test-5f0c3a9b1e",
    },
    {
        "name": "subscribe",
        "ok": True,
        "duration_ms": 20.2,
        "seen": "SUBACK for devices/+/telemetry: granted with QoS 1",
        "topic": {"filter": "devices/+/telemetry", "qos": 1},
    },
]


_REBUILD = {
    "id": 3,
    "state": "done",
    "actor": "admin",
    "ordered_at": _CREATED,
    "began_at": _CREATED,
    "finished_at": "2026-11-21T18:05:12.345Z",
    "messages": 9800000,
    "points": 29400000,
    "carried": 1200000,
    "messages_left": None,
    "points_per_s": 104000.0,
    "left_s": None,
    "comparison": {"samples": {"rows": 11000000, "rows_anew": 11000000, "equal": True}},
    "error": None,
}


def page(item: Any) -> dict[str, Any]:
    """A page of a list, with one item."""
    return {"items": [item], "next_cursor": None}


_SAID = {
    "unit": "°C",
    "label": "Flow temperature",
    "description": "Behind the mixing valve",
    "kind": "number",
}
EXAMPLES: dict[str, Any] = {
    **DEAD_LETTER_EXAMPLES,
    **ALERT_EXAMPLES,
    "NewOrganization": {"name": "Acme"},
    "OrganizationIssued": {
        "id": _ORGANIZATION,
        "name": "Acme",
        "api_key": {"id": _API_KEY["id"], "secret": "hmq_key_…"},
    },
    "OrganizationView": {"id": _ORGANIZATION, "name": "Acme", "created_at": _CREATED},
    "Rotation": {
        "current": "2026-11-21",
        "keys": ["2026-11-21", "2026-02-03"],
        "rewrapped": 412,
        "left": 0,
        "unreadable": 0,
        "running": False,
    },
    "Rebuild": _REBUILD,
    "RebuildState": {"rebuild": {**_REBUILD, "state": "reading", "finished_at": None, "comparison": None}},
    "Logs": {
        "projections": [
            {
                "projection": "messages",
                "stream": "MESSAGES",
                "epoch": 2,
                "sequence": 1204417,
                "first": 3,
                "last": 1204417,
                "trouble": None,
                "epochs": [
                    {"id": 1, "first": 1, "shared_until": 800000, "change": "none", "noticed_at": _CREATED},
                    {
                        "id": 2,
                        "first": 800001,
                        "shared_until": None,
                        "change": "restored",
                        "noticed_at": "2026-11-21T18:05:12.345Z",
                    },
                ],
            }
        ]
    },
    "AdminKeyRotation": {"grace_seconds": 3600},
    "AdminKeySecret": {
        "secret": "hmq_admin_…",
        "hint": "hmq_admin_4jTm",
        "previous_until": "2026-11-21T19:00:00Z",
    },
    "CredentialHistory": {
        "items": [
            {
                "sequence": 512,
                "time": _CREATED,
                "type": "credential.acl-changed",
                "actor": f"key:{_API_KEY['id']}",
                "data": {"publish": [f"{_ORGANIZATION}/devices/boiler-7/#"], "subscribe": []},
            }
        ],
        "next_cursor": None,
        "as_of": {
            "time": _CREATED,
            "state": "active",
            "name": "Boiler 7",
            "device_id": "boiler-7",
            "publish": [f"{_ORGANIZATION}/devices/boiler-7/#"],
            "subscribe": [],
            "expires_at": None,
            "hints": ["hmq_dev_3fKq"],
        },
    },
    "NewApiKey": {"name": "Dashboard", "scopes": ["read"]},
    "ApiKeyWithSecret": {**_API_KEY, "secret": "hmq_key_…"},
    "ApiKeyView": _API_KEY,
    "NewCredential": {"name": "Boiler 7", "device_id": "boiler-7"},
    "CredentialIssued": {**_CREDENTIAL, "password": "hmq_dev_…", "endpoints": _ENDPOINTS},
    "ConnectionView": {
        "topic_prefix": _ORGANIZATION,
        "endpoints": _ENDPOINTS,
        "certificate_authority": "/v1/ca.pem",
    },
    "CredentialView": _CREDENTIAL,
    "ClientCertificate": {"fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    "CredentialChange": {"name": "Boiler 7, hall B"},
    "Expiry": {"expires_at": "2027-03-01T12:00:00Z"},
    "PasswordRotation": {"grace_seconds": 86400},
    "Acl": {"publish": ["devices/{device_id}/#"], "subscribe": ["commands/{device_id}/#"]},
    "AclAnswer": {"allowed": True, "filter": f"{_ORGANIZATION}/devices/{{device_id}}/#"},
    "ConnectionsView": {
        "items": [
            {
                "id": "NDSHG5L6RYMNNULF-56",
                "client_id": "boiler-7",
                "address": "203.0.113.7",
                "connected_at": _CREATED,
                "last_activity_at": "2026-11-21T18:05:12.345Z",
                "messages_in": 8,
                "bytes_in": 6214,
                "messages_out": 0,
                "bytes_out": 0,
                "subscriptions": 1,
            }
        ],
        "count": 1,
        "complete": True,
        "statistics": {
            "connects": 12,
            "messages_in": 40312,
            "bytes_in": 4031200,
            "messages_out": 17,
            "bytes_out": 510,
            "last_connected_at": _CREATED,
            "last_disconnected_at": "2026-11-21T17:59:41.100Z",
            "last_disconnect_reason": "Client Closed",
            "last_seen_at": "2026-11-21T18:05:12.345Z",
            "last_address": "203.0.113.7",
            "refusals": [{"reason": "connect.client_id", "count": 3, "last_at": _CREATED}],
        },
    },
    "FlowToWatch": {"expected_interval_s": 600},
    "LinkStatus": LINK_STATUS,
    "LimitsToSet": {"connections": 500, "messages_per_s": 1000},
    "LimitsView": {
        "items": [
            {"limit": "connections", "allowed": 500, "current": 212, "held": ["connect"]},
            {"limit": "messages_per_s", "allowed": 1000, "current": 87.4, "held": ["measured", "http"]},
        ],
        "measured_at": "2026-11-21T18:05:10.000Z",
    },
    "Disconnection": {"client_id": "boiler-7"},
    "Disconnected": {"disconnected": 1},
    "Revocation": {"reason": "device retired"},
    "NewIntegration": VARIANTS["NewIntegration"]["User name and password"],
    "IntegrationChange": VARIANTS["IntegrationChange"]["A setting"],
    "Preset": PRESET,
    "IntegrationView": _INTEGRATION,
    "TestOfIntegration": {"settings": {"port": 1884}, "probe_topic": "hybridmq/test"},
    "ConnectionToTest": {"settings": {"host": "broker.example.com", "username": "hybridmq", "password": "…"}},
    "ConnectionTested": {"ok": True, "steps": _STEPS},
    "MessageToPublish": {
        "topic": "commands/boiler-7/set",
        "payload": {"target": 65},
        "qos": 1,
        "retain": False,
    },
    "Published": {"acknowledged": True, "remark": None, "duration_ms": 4.2},
    "SubscriptionToAdd": {
        "filter": "devices/+/events",
        "qos": 1,
        "callback_url": "https://hooks.example.com/events",
    },
    "AddedSubscription": {
        "filter": "devices/+/events",
        "qos": 1,
        "state": "pending",
        "callback_url": "https://hooks.example.com/events",
        "webhook_id": "whk_8w1zbk3v9x2m7q4t",
        "secret": "whsec_…",
    },
    "SubscriptionView": {
        "filter": "devices/+/telemetry",
        "qos": 2,
        "state": "granted",
        "granted_qos": 1,
        "reason": None,
        "since": _CREATED,
        "messages": 40312,
        "last_message_at": "2026-11-21T18:05:12.345Z",
    },
    "Subscriptions": {
        "items": [{"filter": "devices/+/events", "qos": 1, "state": "refused", "reason": "Not authorized"}]
    },
    "MessagesToPublish": {
        "messages": [
            {"topic": "commands/boiler-7/set", "payload": {"target": 65}, "qos": 1},
            {"topic": "commands/boiler-8/set", "payload_base64": "AEE=", "qos": 1, "retain": True},
        ]
    },
    "PublishResults": {
        "published": 1,
        "failed": 1,
        "results": [
            {"acknowledged": True, "remark": "No matching subscribers"},
            {
                "error": {
                    "type": "/problems/broker.refused",
                    "title": "The broker refused",
                    "status": 502,
                    "detail": "the broker refused it: Not authorized",
                    "code": "broker.refused",
                }
            },
        ],
        "duration_ms": 12.6,
    },
    "IngestMessage": {
        "topic": "devices/boiler-7/telemetry",
        "payload": {"temperature": 64.8, "pressure": 1.4},
    },
    "Accepted": {"sequence": 81723, "duplicate": False},
    "AcceptedLines": {
        "accepted": 1,
        "refused": 1,
        "results": [
            {"line": 1, "sequence": 81724, "duplicate": False},
            {
                "line": 2,
                "error": {
                    "type": "/problems/topic.invalid",
                    "title": "The topic is not valid",
                    "status": 422,
                    "detail": "`+` at position 8: a topic holds no wildcard",
                    "code": "topic.invalid",
                    "field": "topic",
                },
            },
        ],
    },
    "CommandToSend": {"name": "set", "payload": {"target": 65}, "wait_s": 5},
    "DeviceCommandView": {
        "id": _COMMAND,
        "device_id": "boiler-7",
        "integration_id": "hosted",
        "state": "answered",
        "topic": f"{_ORGANIZATION}/commands/boiler-7/set/{_COMMAND}",
        "payload": '{"target":65}',
        "encoding": "utf-8",
        "qos": 1,
        "retain": False,
        "response_topic": f"{_ORGANIZATION}/devices/boiler-7/responses/{_COMMAND}",
        "correlation_id": _COMMAND,
        "queued_at": _CREATED,
        "expires_at": "2026-11-21T18:01:00Z",
        "attempts": 1,
        "sent_at": "2026-11-21T18:00:00.004Z",
        "delivered_at": "2026-11-21T18:00:00.006Z",
        "remark": None,
        "ended_at": "2026-11-21T18:00:00.210Z",
        "answer": {
            "topic": f"{_ORGANIZATION}/devices/boiler-7/responses/{_COMMAND}",
            "payload": '{"ok":true}',
            "encoding": "utf-8",
            "message": 81725,
        },
        "failure": None,
        "actor": f"key:{_API_KEY['id']}",
    },
    "RetentionToSet": {"raw_days": 7, "minutes_days": 90, "hours_days": 730},
    "Retention": {"raw_days": 7, "minutes_days": 90, "hours_days": None},
    "RetentionView": {
        "raw_days": 7,
        "minutes_days": 90,
        "hours_days": None,
        "chosen": True,
        "raw_since": "2026-11-14T00:00:00Z",
        "minutes_since": "2026-08-23T00:00:00Z",
        "hours_since": None,
        "deletion": {
            "state": "running",
            "began_at": "2026-11-21T18:00:00.412Z",
            "ended_at": None,
            "rows_deleted": 40_000,
            "rows_left": 61_200,
            "rollups_left": True,
        },
    },
    "StorageView": {
        "bytes": 7_311_360,
        "items": [{"tier": "readings", "rows": 28_800, "bytes": 7_311_360}],
        "devices": [
            {
                "device_id": "boiler-7",
                "bytes": 3_655_680,
                "items": [{"tier": "readings", "rows": 14_400, "bytes": 3_655_680}],
            }
        ],
    },
    "MetricToSet": _SAID,
    "MetricDescription": {"name": "temperature", **_SAID},
    "MetricRow": {
        "name": "temperature",
        **_SAID,
        "described": True,
        "conflict": False,
        "uses": [{"unit": None, "kind": "number", "first_day": "2026-11-20", "last_day": "2026-11-21"}],
    },
    "TelemetryRow": {
        "device_id": "boiler-7",
        "timestamp": "2026-11-21T18:05:12.345Z",
        "metrics": {"temperature": 64.8, "pressure": 1.4},
        "units": {"temperature": "°C"},
        "topic": f"{_ORGANIZATION}/devices/boiler-7/telemetry",
        "integration_id": "hosted",
        "time_replaced": False,
        "sequence": 81723,
        "provenance": {
            "epoch": 1,
            "sequence": 81723,
            "position": 0,
            "decoder": "standard",
            "version": 2,
            "settings_hash": "",
            "flags": [],
        },
    },
    "SeriesPage": {
        "start": "2026-11-21T15:00:00Z",
        "end": "2026-11-21T18:00:00Z",
        "interval": "1h",
        "time_zone": "UTC",
        "fill": "none",
        "timestamps": ["2026-11-21T15:00:00Z", "2026-11-21T16:00:00Z", "2026-11-21T17:00:00Z"],
        "items": [
            {
                "device_id": "boiler-7",
                "metric": "temperature",
                "values": {"avg": [64.25, None, 65.5], "count": [360, 0, 358]},
            }
        ],
        "next_cursor": None,
    },
    "StatsPage": {
        "start": "2026-11-21T15:00:00Z",
        "end": "2026-11-21T17:30:00Z",
        "interval": "1h",
        "by": "integration",
        "timestamps": ["2026-11-21T15:00:00Z", "2026-11-21T16:00:00Z", "2026-11-21T17:00:00Z"],
        "items": [
            {
                "id": "hosted",
                "totals": {"messages": 8614, "dead_letters": 2},
                "values": {"messages": [3600, 3598, 1416], "dead_letters": [0, 2, 0]},
            }
        ],
        "next_cursor": None,
    },
    "LatestRow": {
        "device_id": "boiler-7",
        "metrics": {
            "temperature": {"value": 64.8, "unit": "°C", "timestamp": "2026-11-21T18:05:12.345Z"},
            "state": {"value": "heating", "unit": None, "timestamp": "2026-11-21T17:58:00Z"},
        },
    },
    "MessageRow": {
        "sequence": 81723,
        "received_at": "2026-11-21T18:05:12.347Z",
        "device_id": "boiler-7",
        "topic": f"{_ORGANIZATION}/devices/boiler-7/telemetry",
        "integration_id": "hosted",
        "qos": 1,
        "retain": False,
        "payload": '{"temperature": 64.8, "pressure": 1.4}',
        "encoding": "utf-8",
        "failure": None,
    },
    "ActivityRow": {
        "id": "019a9f1e-7d4c-7cc1-9e53-0a1b2c3d4e5f",
        "time": _CREATED,
        "kind": "credential.issued",
        "direction": "own",
        "status": "ok",
        "summary": "Credential Boiler 7 issued",
        "actor": f"key:{_API_KEY['id']}",
        "subject": f"credential:{_CREDENTIAL['id']}",
        "device_id": None,
        "reason": None,
        "duration_ms": None,
        "details": {},
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    },
    **DECODER_EXAMPLES,
    **DEVICE_EXAMPLES,
    **REDECODE_EXAMPLES,
    **WEBHOOK_EXAMPLES,
}

STREAM = """retry: 1200

id: 81723
event: message
data: {"sequence":81723,"received_at":"2026-11-21T18:05:12.347Z","device_id":"boiler-7",\
"topic":"org_k3v9x2m7q4t8w1zb/devices/boiler-7/telemetry","integration_id":"hosted","qos":1,"retain":false,\
"payload":"{\\"temperature\\": 64.8}","encoding":"utf-8","readings":[{"device_id":"boiler-7",\
"timestamp":"2026-11-21T18:05:12.345Z","metrics":{"temperature":64.8},"units":{}}]}

event: end
data: {"reason":"time","detail":"a stream ends after some minutes: resume behind the last id","resume":true}

"""
