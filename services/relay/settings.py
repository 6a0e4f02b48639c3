"""Settings of the TLS relay."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator

from runtime.settings import FileSettings

KEY_BYTES = 32


class RelaySettings(FileSettings):
    relay_host: str = "127.0.0.1"
    mqtts_port: int = 8883
    mqtt_wss_port: int = 8084
    mqtt_tls_cert: Path
    """The server's certificate and its chain, PEM; read again when it changes."""
    mqtt_tls_key: Path
    mqtt_tls_client_ca: Path | None = None
    """Whose certificates devices may come with instead of a password; none are asked for without it."""
    tls_ticket_key: SecretStr | None = None
    """Shared with the credentials service: base64 of 32 bytes. Without it (in front of Mosquitto) every byte passes
    as it came, and no certificate of a device counts."""
    relay_mqtt_host: str = "127.0.0.1"
    """Where the broker takes MQTT without encryption: on this host, or on a network that is trusted."""
    relay_mqtt_port: int = 1883
    relay_ws_port: int = 9001
    platform_ca: Path | None = None
    """Who signed the broker's certificate, PEM: with it both of its ports are spoken to by TLS."""
    relay_connections_max: int = 20_000
    """27 KiB each."""
    health_host: str = "127.0.0.1"
    health_port: int = 0
    log_level: str = "INFO"
    stop_grace_s: float = 5.0
    """How long devices that are being disconnected may take to hear of it."""

    @property
    def ticket_key(self) -> bytes | None:
        if self.tls_ticket_key is None:
            return None
        return base64.b64decode(self.tls_ticket_key.get_secret_value(), validate=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ticket_key is not None and len(self.ticket_key) != KEY_BYTES:
            raise ValueError(f"TLS_TICKET_KEY must be the base64 of {KEY_BYTES} bytes")
        return self
