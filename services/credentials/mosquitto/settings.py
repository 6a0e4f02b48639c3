"""What is told to whoever speaks to Mosquitto's dynamic-security plugin."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from runtime.settings import BusSettings, FileSettings


class MosquittoSettings(FileSettings):
    mosquitto_url: str = "mqtt://127.0.0.1:1885"
    """The platform's own listener of the broker: reachable by the platform alone; plain TCP, or mqtts."""
    platform_ca: Path | None = None
    """Who signed that listener's certificate, PEM, where the address begins with mqtts."""
    mosquitto_admin_password: SecretStr
    """Of the client `platform-credentials`, which may do anything to dynamic security."""
    mosquitto_compare_s: float = 60.0
    """How often all that the broker holds is read: 40 pages of 1,000 at 20,000 credentials."""
    mosquitto_restore_file: Path | None = None
    """Written when the broker must be restored; whoever runs the broker looks for it and starts it anew."""


class RestoreSettings(BusSettings):
    """Of `python -m services.credentials.mosquitto`, before each start of the broker."""

    mosquitto_admin_password: SecretStr
    hosted_mqtt_password: SecretStr
    """Of ingest's client `platform`."""
    mosquitto_config_file: Path
    """Where the plugin reads dynamic security from."""
    start_patience_s: float = 60.0
