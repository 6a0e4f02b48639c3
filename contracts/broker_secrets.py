"""Settings of a broker as a caller sends them: with secrets, which are written and never read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, SecretStr, Tag, TypeAdapter

from contracts.broker_base import Tls
from contracts.broker_providers import AwsIotSettings, AzureIotSettings
from contracts.broker_settings import (
    BY_AUTH,
    BrokerSettings,
    CertificateSettings,
    OpenSettings,
    PasswordSettings,
    broker_settings,
)
from contracts.calls import Model

CLIENT, AUTHORITY = "settings.tls.client_certificate", "settings.tls.ca"
# Where a caller writes a secret.
FIELDS: Mapping[str, str] = {
    "password": "settings.password",
    "client_key": "settings.tls.client_key",
    "shared_access_key": "settings.shared_access_key",
}

Password = Annotated[
    SecretStr, Field(min_length=1, max_length=4096)
]  # some brokers take tokens for passwords
ClientKey = Annotated[SecretStr, Field(min_length=1, max_length=8192)]
SharedAccessKey = Annotated[SecretStr, Field(min_length=1, max_length=256)]


class TlsWithKey(Tls):
    client_key: ClientKey | None = None


def _default_tls(earlier: dict[str, Any]) -> TlsWithKey | None:
    return TlsWithKey() if earlier.get("protocol") in ("mqtts", "wss") else None


def secrets_allowed(settings: BrokerSettings) -> tuple[str, ...]:
    """Which secrets belong to these settings."""
    own = {"password": ("password",), "azure_sas": ("shared_access_key",)}.get(settings.auth, ())
    return (*own, "client_key") if settings.client_certificate is not None else own


def secrets_needed(settings: BrokerSettings) -> tuple[str, ...]:
    """Which of them it cannot do without: some brokers take a user name alone."""
    return tuple(name for name in secrets_allowed(settings) if name != "password")


class _Secrets(Model):
    def public(self) -> BrokerSettings:
        """The settings alone."""
        fields = self.model_dump(exclude={"password": True, "shared_access_key": True, "tls": {"client_key"}})
        return broker_settings(**fields)

    def secret_fields(self) -> dict[str, str]:
        """The secrets in plain text, by their names."""
        held = {
            "password": getattr(self, "password", None),
            "client_key": getattr(getattr(self, "tls", None), "client_key", None),
            "shared_access_key": getattr(self, "shared_access_key", None),
        }
        return {name: value.get_secret_value() for name, value in held.items() if value is not None}


class OpenSettingsWithSecrets(_Secrets, OpenSettings):
    """`auth: none`, which it is without a user name."""


class PasswordSettingsWithSecrets(_Secrets, PasswordSettings):
    """`auth: password`, which it is with a user name; behind TLS a client certificate may come with it."""

    tls: TlsWithKey | None = Field(default_factory=_default_tls)
    password: Password | None = None


class CertificateSettingsWithSecrets(_Secrets, CertificateSettings):
    """`auth: client_certificate`: the certificate with its chain, and its key."""

    tls: TlsWithKey


class AwsIotSettingsWithSecrets(_Secrets, AwsIotSettings):
    """`auth: aws_iot`: AWS IoT Core, at 8883 or 443; QoS 0 and 1, 50 filters of 256 bytes and 8 levels."""

    tls: TlsWithKey


class AzureIotSettingsWithSecrets(_Secrets, AzureIotSettings):
    """`auth: azure_sas`: Azure IoT Hub as one of its devices; `shared_access_key` is that device's, in base64."""

    shared_access_key: SharedAccessKey | None = None


BrokerSettingsWithSecrets = Annotated[
    Annotated[OpenSettingsWithSecrets, Tag("auth=none")]
    | Annotated[PasswordSettingsWithSecrets, Tag("auth=password")]
    | Annotated[CertificateSettingsWithSecrets, Tag("auth=client_certificate")]
    | Annotated[AwsIotSettingsWithSecrets, Tag("auth=aws_iot")]
    | Annotated[AzureIotSettingsWithSecrets, Tag("auth=azure_sas")],
    BY_AUTH,
]

WITH_SECRETS: TypeAdapter[BrokerSettingsWithSecrets] = TypeAdapter(BrokerSettingsWithSecrets)
