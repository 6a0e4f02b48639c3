"""How an external broker is reached: one union, told apart by `auth`. Secrets are no part of it.

Where `auth` is absent it is `password` if a user name (or a password) is given, else `none`. Every variant has
every field that a connection needs, so that only a provider's own rules ask which variant it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from contracts.calls import Model
from contracts.failures import Refused
from contracts.topics import check_topic

Auth = Literal["none", "password", "client_certificate", "aws_iot", "azure_sas"]
Protocol = Literal["mqtt", "mqtts", "ws", "wss"]

DEFAULT_PORTS: dict[Protocol, int] = {"mqtt": 1883, "mqtts": 8883, "ws": 9001, "wss": 443}
WEBSOCKET_PATH = "/mqtt"
AWS_ALPN = "x-amzn-mqtt-ca"  # for MQTT with a client certificate on port 443
AZURE_API_VERSION = "2021-04-12"
AZURE_WEBSOCKET_PATH = "/$iothub/websocket"
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")
AZURE_DOMAIN = ".azure-devices.net"
CERTIFICATES_CHARS_MAX = 32_768  # some ten to twenty certificates: events hold them for ever

_HOST = r"^[^\s/@\x00-\x1f]+$"
Host = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=253, pattern=_HOST)]
ServerName = Annotated[str, StringConstraints(max_length=253, pattern=r"^[A-Za-z0-9._-]+$")]
Certificates = Annotated[str, StringConstraints(min_length=1, max_length=CERTIFICATES_CHARS_MAX)]
ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Username = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
Path = Annotated[str, StringConstraints(max_length=256, pattern=r"^/[\x21-\x7e]*$")]
AlpnName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class Tls(Model):
    """`ca` replaces the system's certificate authorities; `server_name` is what SNI says and the certificate
    must name, in place of the host. Certificates are PEM. A client certificate's chain follows it.
    """

    ca: Certificates | None = None
    client_certificate: Certificates | None = None
    verify: bool = True
    server_name: ServerName | None = None
    alpn: Annotated[tuple[AlpnName, ...], Field(max_length=8)] = ()


def _default_port(earlier: dict[str, Any]) -> int:
    return DEFAULT_PORTS.get(earlier.get("protocol", "mqtt"), 1883)


def _default_path(earlier: dict[str, Any]) -> str | None:
    return WEBSOCKET_PATH if earlier.get("protocol") in ("ws", "wss") else None


def _default_tls(earlier: dict[str, Any]) -> Tls | None:
    return Tls() if earlier.get("protocol") in ("mqtts", "wss") else None


class _Broker(Model):
    """What all variants share. `port` and `path` are filled in by protocol; `tls` is there exactly when the
    protocol is encrypted, `path` exactly when it is a WebSocket.
    """

    protocol: Protocol = "mqtt"
    host: Host
    port: int = Field(default_factory=_default_port, ge=1, le=65535)
    path: Path | None = Field(default_factory=_default_path)
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    username: Username | None = None
    client_id: ClientId | None = None  # made if absent
    keepalive_s: int = Field(30, ge=5, le=3600)
    topic_prefix: Annotated[str, StringConstraints(max_length=200)] | None = None
    tls: Tls | None = Field(default_factory=_default_tls)

    @field_validator("path")
    @classmethod
    def _path_of_a_websocket(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("protocol") in ("mqtt", "mqtts"):
            raise ValueError("only ws and wss have a path")
        return value or _default_path(info.data)

    @field_validator("topic_prefix")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            check_topic(value, hosted=False)
        except Refused as refused:
            raise ValueError(refused.detail) from refused
        return value

    @field_validator("tls")
    @classmethod
    def _tls_of_an_encrypted_protocol(cls, value: Tls | None, info: ValidationInfo) -> Tls | None:
        if value is not None and info.data.get("protocol") in ("mqtt", "ws"):
            raise ValueError("only mqtts and wss have TLS settings")
        return value or _default_tls(info.data)

    @property
    def websocket(self) -> bool:
        return self.protocol in ("ws", "wss")

    @property
    def mqtt_username(self) -> str | None:
        """What CONNECT says, where it says one."""
        return self.username

    @property
    def fixed_client_id(self) -> str | None:
        """The client id that was asked for; where None, ours."""
        return self.client_id

    @property
    def alpn(self) -> tuple[str, ...]:
        """What the TLS handshake offers."""
        return self.tls.alpn if self.tls is not None else ()

    @property
    def server_name(self) -> str:
        """What the broker's certificate must name."""
        return (self.tls.server_name if self.tls is not None else None) or self.host


def _without_client_certificate(value: Tls | None) -> Tls | None:
    if value is not None and value.client_certificate is not None:
        raise ValueError("a client certificate goes with auth client_certificate, password or aws_iot")
    return value


def _with_client_certificate(value: Tls | None) -> Tls:
    if value is None or value.client_certificate is None:
        raise ValueError("this auth needs a client_certificate here")
    return value


class OpenSettings(_Broker):
    """A broker that asks for nothing."""

    auth: Literal["none"] = "none"
    username: None = None

    _tls = field_validator("tls")(_without_client_certificate)


class PasswordSettings(_Broker):
    """User name and password (a secret); behind TLS a client certificate may come with them."""

    auth: Literal["password"] = "password"
    username: Username


class CertificateSettings(_Broker):
    """A client certificate; its key is the secret `client_key`."""

    auth: Literal["client_certificate"] = "client_certificate"
    protocol: Literal["mqtts", "wss"] = "mqtts"
    tls: Tls

    _tls = field_validator("tls")(_with_client_certificate)


class AwsIotSettings(_Broker):
    """AWS IoT Core: a client certificate at port 8883, or at 443 with ALPN. Other ports are for domains that
    are not AWS's own (private endpoints, tests).

    Source: docs.aws.amazon.com/iot/latest/developerguide/protocols.html (ports, ALPN, SNI) and
    docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits (keep-alive 30–1200 s, client id
    of 128 bytes, which policies mostly bind to a thing's name: `[a-zA-Z0-9:_-]+`).
    """

    auth: Literal["aws_iot"] = "aws_iot"
    protocol: Literal["mqtts"] = "mqtts"
    username: None = None
    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_-]{1,128}$")] | None = None
    keepalive_s: int = Field(30, ge=30, le=1200)
    tls: Tls

    _tls = field_validator("tls")(_with_client_certificate)

    @field_validator("port")
    @classmethod
    def _its_ports(cls, value: int, info: ValidationInfo) -> int:
        if str(info.data.get("host", "")).lower().endswith(AWS_DOMAINS) and value not in (443, 8883):
            raise ValueError("AWS IoT Core takes MQTT at 8883 and 443")
        return value

    @property
    def alpn(self) -> tuple[str, ...]:
        return self.tls.alpn or ((AWS_ALPN,) if self.port == 443 else ())


class AzureIotSettings(_Broker):
    """Azure IoT Hub as one device: a token signed with its `shared_access_key` is the password.

    User name, client id and topics follow from `device_id`; `hub` is the hub's own name where `host` is
    another (a gateway, a proxy). Other hosts than Azure's are for sovereign clouds and tests.

    Source: learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub (MQTT 3.1.1; 8883, or WebSocket at 443;
    keep-alive at most 1177 s), .../iot-hub-devguide-identity-registry (device ids).
    """

    auth: Literal["azure_sas"] = "azure_sas"
    protocol: Literal["mqtts", "wss"] = "mqtts"
    path: Path | None = Field(
        default_factory=lambda earlier: AZURE_WEBSOCKET_PATH if earlier.get("protocol") == "wss" else None
    )
    mqtt_version: Literal["3.1.1"] = "3.1.1"
    username: None = None
    client_id: None = None
    keepalive_s: int = Field(30, ge=5, le=1177)
    device_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$")]
    hub: Host | None = None
    token_lifetime_s: int = Field(3600, ge=300, le=86_400)
    tls: Tls = Tls()

    _tls = field_validator("tls")(_without_client_certificate)

    @field_validator("port")
    @classmethod
    def _its_ports(cls, value: int, info: ValidationInfo) -> int:
        wanted = {"mqtts": 8883, "wss": 443}.get(info.data.get("protocol", ""), value)
        if str(info.data.get("host", "")).lower().endswith(AZURE_DOMAIN) and value != wanted:
            raise ValueError("Azure IoT Hub takes mqtts at 8883 and wss at 443")
        return value

    @property
    def mqtt_username(self) -> str:
        return f"{self.hub or self.host}/{self.device_id}/?api-version={AZURE_API_VERSION}"

    @property
    def fixed_client_id(self) -> str:
        return self.device_id

    @property
    def token_resource(self) -> str:
        """What a token is for, before it is URL-encoded."""
        return f"{self.hub or self.host}/devices/{self.device_id}"


def variant(value: Any) -> str:
    """The tag of a variant: `auth=password`."""
    if not isinstance(value, dict):
        return f"auth={getattr(value, 'auth', None)}"
    named = value.get("username") or value.get("password")
    return f"auth={value.get('auth') or ('password' if named else 'none')}"


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
