"""What the settings of all external brokers have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from contracts.calls import Model
from contracts.failures import Refused
from contracts.topics import check_topic

Auth = Literal["none", "password", "client_certificate", "aws_iot", "azure_sas"]
Protocol = Literal["mqtt", "mqtts", "ws", "wss"]

DEFAULT_PORTS: dict[Protocol, int] = {"mqtt": 1883, "mqtts": 8883, "ws": 9001, "wss": 443}
WEBSOCKET_PATH = "/mqtt"
CERTIFICATES_CHARS_MAX = 16_384  # some ten certificates: events hold them for ever

_HOST = r"^[^\s/@\x00-\x1f]+$"


def _no_url(value: Any) -> Any:
    if isinstance(value, str) and any(mark in value for mark in "/@"):
        raise ValueError(
            "the host's name or address alone: protocol, port, path and user are fields of their own"
        )
    return value


Host = Annotated[
    str,
    BeforeValidator(_no_url),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=253, pattern=_HOST),
]
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


class Broker(Model):
    """What all variants share. `port` and `path` are filled in by protocol; `tls` is there exactly when the
    protocol is encrypted, `path` exactly when it is a WebSocket.
    """

    protocol: Protocol = "mqtt"
    host: Host
    port: int = Field(
        default_factory=_default_port, ge=1, le=65535, description="By protocol: 1883, 8883, ws 9001, wss 443"
    )
    path: Path | None = Field(default_factory=_default_path, description="Of ws and wss: /mqtt")
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    username: Username | None = None
    client_id: ClientId | None = None  # made if absent
    keepalive_s: int = Field(30, ge=5, le=3600)
    topic_prefix: Annotated[str, StringConstraints(max_length=200)] | None = None
    tls: Tls | None = Field(default_factory=_default_tls, description="Of mqtts and wss")

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
    def client_certificate(self) -> str | None:
        """PEM, with its chain; its key is the secret `client_key`."""
        return self.tls.client_certificate if self.tls is not None else None

    @property
    def server_name(self) -> str:
        """What the broker's certificate must name."""
        return (self.tls.server_name if self.tls is not None else None) or self.host


def without_client_certificate(value: Tls | None) -> Tls | None:
    if value is not None and value.client_certificate is not None:
        raise ValueError("a client certificate goes with auth client_certificate, password or aws_iot")
    return value


def with_client_certificate(value: Tls | None) -> Tls:
    if value is None or value.client_certificate is None:
        raise ValueError("give a `client_certificate` (PEM): this auth needs one")
    return value
