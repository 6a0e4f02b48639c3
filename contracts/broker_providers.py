"""Brokers of cloud providers, by their own rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from contracts.broker_base import Broker, Host, Path, Tls, with_client_certificate, without_client_certificate

AWS_ALPN = "x-amzn-mqtt-ca"  # for MQTT with a client certificate on port 443
AZURE_API_VERSION = "2021-04-12"
AZURE_WEBSOCKET_PATH = "/$iothub/websocket"
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")
AZURE_DOMAIN = ".azure-devices.net"


class AwsIotSettings(Broker):
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

    _tls = field_validator("tls")(with_client_certificate)

    @field_validator("port")
    @classmethod
    def _its_ports(cls, value: int, info: ValidationInfo) -> int:
        if str(info.data.get("host", "")).lower().endswith(AWS_DOMAINS) and value not in (443, 8883):
            raise ValueError("AWS IoT Core takes MQTT at 8883 and 443")
        return value

    @property
    def alpn(self) -> tuple[str, ...]:
        return self.tls.alpn or ((AWS_ALPN,) if self.port == 443 else ())


class AzureIotSettings(Broker):
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
    # Azure allows `*` too, which is the bus's wildcard.
    device_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.%_?!(),:=@$']{1,128}$")]
    hub: Host | None = None
    token_lifetime_s: int = Field(3600, ge=300, le=86_400)
    tls: Tls = Tls()

    _tls = field_validator("tls")(without_client_certificate)

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
