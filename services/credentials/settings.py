"""Settings of the credentials service."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, SecretStr, model_validator

from contracts.limits import Limits
from contracts.retention import Retention
from contracts.secrets_format import well_formed
from contracts.streams import PAYLOAD_BYTES_MAX
from runtime.settings import ServiceSettings
from services.credentials import keyring

KEY_BYTES = 32
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")


def key_bytes(secret: SecretStr) -> bytes:
    """The 32 bytes of a key that is written in base64."""
    return base64.b64decode(secret.get_secret_value(), validate=True)


def _key(secret: SecretStr) -> SecretStr:
    try:
        length = len(key_bytes(secret))
    except binascii.Error:
        length = -1
    if length != KEY_BYTES:
        raise ValueError(f"must be the base64 of {KEY_BYTES} bytes (openssl rand -base64 {KEY_BYTES})")
    return secret


def _admin_key(secret: SecretStr) -> SecretStr:
    if not well_formed(secret.get_secret_value(), "admin"):
        raise ValueError("must be made by contracts.secrets_format.mint('admin')")
    return secret


def _keys(secret: SecretStr) -> SecretStr:
    keyring.parse(secret.get_secret_value())
    return secret


Key = Annotated[SecretStr, AfterValidator(_key)]
Keys = Annotated[SecretStr, AfterValidator(_keys)]


class CredentialsSettings(ServiceSettings):
    secret_hash_key: Key
    """Keys the hashes of generated secrets: a copy of the log alone verifies no guess."""
    key_encryption_key: Keys
    """Wraps the data keys of what is in SECRETS and IDEMPOTENCY. Several while they are rotated: `id:base64,…`,
    the first is the current one."""
    admin_key: Annotated[SecretStr, AfterValidator(_admin_key)]
    """The operator's key: creates organizations."""
    callout_issuer_seed: SecretStr
    """The account nkey that signs the answers to "may this device connect?"."""
    sys_nats_seed: SecretStr
    """The user in the SYS account: hears connects and disconnects, ends connections."""
    devices_nats_seed: SecretStr | None = None
    """The user in the DEVICES account: erases what a revoked credential left retained."""
    hosted_mqtt_url: str = "mqtt://127.0.0.1:1883"
    """nats-server's own listener: there a revoked credential's sessions are taken over, so that no will fires."""
    hosted_mqtt_username: str = "platform"
    hosted_mqtt_password: SecretStr | None = None
    broker_log: Path | None = None
    """nats-server's log file, where it can be read: forbidden publishes stand nowhere else. In a cluster each
    server's log has a reader beside it."""
    tls_ticket_key: Key | None = None
    """Shared with the TLS relay; without it nothing that a relay says is believed."""
    http_auth_port: int = 0
    """Where other brokers may ask who may connect, publish and subscribe; 0: nowhere."""
    http_auth_host: str = "127.0.0.1"
    http_auth_token: SecretStr | None = None
    """What those brokers show: whoever has it may try passwords, so it is the operator's own."""
    hosted_broker: Literal["nats", "mosquitto"] = "nats"
    start_patience_s: float = 60.0
    """How long the first reading of the registry may take: a million events need about 20 s."""
    organization_limits: Limits = Limits(
        connections=50_000,
        messages_per_s=100_000,
        bytes_per_s=128 * 1024 * 1024,
        subscriptions=500_000,
        payload_bytes=PAYLOAD_BYTES_MAX,
    )
    """What holds where the operator set nothing: above what a small machine carries, so it stops accidents."""
    credential_limits: Limits = Limits(connections=1_000, subscriptions=10_000)
    """A credential that a whole gateway uses; its messages are bounded by the organization's limits."""
    retention_max: Retention = Retention(raw_days=400, minutes_days=1_100, hours_days=None)
    """What an organization may choose at most: a year and a month of readings, three years of minutes."""
    limit_hold_s: float = 30.0
    """How long who exceeded a measured limit is kept out: else a device is back within the second."""
    connections_look_s: float = 5.0
    """How often all connections are counted: it costs the server 2 µs each; excess is noticed as late."""

    metrics_by_organization: bool = False
    """Connections by organization as well: as many series as there are tenants, so only where they are few."""

    @model_validator(mode="after")
    def _http_auth(self) -> Self:
        token = self.http_auth_token.get_secret_value() if self.http_auth_token else ""
        if self.http_auth_port and not TOKEN.fullmatch(token):
            raise ValueError("HTTP_AUTH_PORT needs HTTP_AUTH_TOKEN, 32 to 128 of A-Z a-z 0-9 _ -")
        return self
