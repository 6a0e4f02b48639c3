"""Examples of brokers' settings, by how they authenticate."""

from __future__ import annotations

from typing import Any

from contracts.presets import PRESETS

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n"
_CLIENT = {"client_certificate": CERTIFICATE, "client_key": KEY}

SETTINGS: dict[str, dict[str, Any]] = {
    "User name and password": {
        "protocol": "mqtts",
        "host": "broker.example.com",
        "username": "hybridmq",
        "password": "…",
    },
    "Nothing asked, in clear": {"protocol": "mqtt", "host": "broker.example.com"},
    "Client certificate, authority of your own": {
        "auth": "client_certificate",
        "protocol": "mqtts",
        "host": "10.0.0.7",
        "tls": {"ca": CERTIFICATE, "server_name": "broker.internal", **_CLIENT},
    },
    "WebSocket": {
        "protocol": "wss",
        "host": "broker.example.com",
        "path": "/mqtt",
        "mqtt_version": "5",
        "username": "hybridmq",
        "password": "…",
    },
    "AWS IoT Core": {
        "auth": "aws_iot",
        "host": "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com",
        "port": 443,
        "client_id": "hybridmq",
        "tls": _CLIENT,
    },
    "Azure IoT Hub": {
        "auth": "azure_sas",
        "host": "contoso.azure-devices.net",
        "device_id": "gateway-1",
        "shared_access_key": "…",
    },
}
CHANGES: dict[str, dict[str, Any]] = {
    "A setting": {"settings": {"port": 8884}},
    "A new password": {"settings": {"password": "…"}},
    "Another way to authenticate": {
        "settings": {"auth": "client_certificate", "protocol": "mqtts", "tls": _CLIENT}
    },
    "The decoder (the hosted broker's too)": {"decoder": {"name": "vmark", "settings": {}}},
    "Its topics": {"topics": [{"filter": "$share/hybridmq/devices/#", "qos": 1}]},
}
VIEW_SETTINGS: dict[str, Any] = {
    "protocol": "mqtts",
    "host": "broker.example.com",
    "port": 8883,
    "path": None,
    "mqtt_version": "3.1.1",
    "username": "hybridmq",
    "client_id": None,
    "keepalive_s": 30,
    "topic_prefix": None,
    "tls": {"ca": None, "client_certificate": None, "verify": False, "server_name": None, "alpn": []},
    "auth": "password",
}
WARNINGS = [
    {
        "code": "tls.unverified",
        "field": "settings.tls.verify",
        "detail": "the broker's certificate is not verified: whoever stands between can read, change and send",
    }
]
PRESET: dict[str, Any] = PRESETS[0].model_dump(mode="json")

# More than one example of a body: by model, each with its name.
VARIANTS: dict[str, dict[str, Any]] = {
    "NewIntegration": {
        name: {"name": "Plant 1", "settings": settings} for name, settings in SETTINGS.items()
    },
    "IntegrationChange": CHANGES,
}
