"""How an external broker is reached: one union, told apart by `auth`. Secrets are no part of it.

Where `auth` is absent it is `password` if a user name (or a password) is given, else `none`. Every variant has
every field that a connection needs, so that only a provider's own rules ask which variant it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, TypeAdapter, field_validator

from contracts.broker_base import Broker, Tls, Username, with_client_certificate, without_client_certificate
from contracts.broker_providers import AwsIotSettings, AzureIotSettings

__all__ = [
    "AwsIotSettings",
    "AzureIotSettings",
    "BrokerSettings",
    "CertificateSettings",
    "OpenSettings",
    "PasswordSettings",
    "broker_settings",
]


class OpenSettings(Broker):
    """A broker that asks for nothing."""

    auth: Literal["none"] = "none"
    username: None = None

    _tls = field_validator("tls")(without_client_certificate)


class PasswordSettings(Broker):
    """User name and password (a secret); behind TLS a client certificate may come with them."""

    auth: Literal["password"] = "password"
    username: Username


class CertificateSettings(Broker):
    """A client certificate; its key is the secret `client_key`."""

    auth: Literal["client_certificate"] = "client_certificate"
    protocol: Literal["mqtts", "wss"] = "mqtts"
    tls: Tls

    _tls = field_validator("tls")(with_client_certificate)


def variant(value: Any) -> str:
    """The tag of a variant: `auth=password`."""
    if not isinstance(value, dict):
        return f"auth={getattr(value, 'auth', 'none')}"
    if (auth := value.get("auth")) is not None:
        return f"auth={auth}"
    return "auth=password" if value.get("username") or value.get("password") else "auth=none"


BY_AUTH = Discriminator(
    variant,
    custom_error_type="auth.unknown",
    custom_error_message="auth is one of none, password, client_certificate, aws_iot, azure_sas",
)

BrokerSettings = Annotated[
    Annotated[OpenSettings, Tag("auth=none")]
    | Annotated[PasswordSettings, Tag("auth=password")]
    | Annotated[CertificateSettings, Tag("auth=client_certificate")]
    | Annotated[AwsIotSettings, Tag("auth=aws_iot")]
    | Annotated[AzureIotSettings, Tag("auth=azure_sas")],
    BY_AUTH,
]

_SETTINGS: TypeAdapter[BrokerSettings] = TypeAdapter(BrokerSettings)


def broker_settings(**fields: Any) -> BrokerSettings:
    """The variant that `fields` describe. Raises pydantic.ValidationError."""
    return _SETTINGS.validate_python(fields)
