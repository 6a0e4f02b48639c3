"""Settings of well-known brokers, ready to be filled in: the same for console and API.

`settings` is what `POST /v1/integrations` takes, without what only the customer knows: that is `fields`, each
with the place where its value is found; without `topics`, those that follow from the settings. `ports` are the
provider's own by protocol, where it takes others than are usual.
Sources: each preset's `documentation`, and `contracts.broker_providers`.
"""

from __future__ import annotations

from typing import Any, Literal

from contracts.broker_providers import AWS_ALPN
from contracts.broker_topics import AWS_SUBSCRIPTIONS_MAX, DEFAULT_TOPICS, TopicFilter
from contracts.calls import Model


class PresetField(Model):
    """`path` is where it goes in the body: `settings.tls.client_key`. `kind` says how to ask for it."""

    path: str
    label: str
    where: str
    kind: Literal["text", "secret", "pem"] = "text"
    required: bool = True
    example: str | None = None


class Preset(Model):
    id: str
    name: str
    summary: str
    settings: dict[str, Any]
    topics: tuple[TopicFilter, ...]
    fields: tuple[PresetField, ...]
    notes: tuple[str, ...]
    documentation: str
    ports: dict[str, int] = {}


_CA = PresetField(
    path="settings.tls.ca",
    label="Certificate authority",
    where="Only if the broker's certificate is of an authority of your own",
    kind="pem",
    required=False,
)
_CLIENT_ID = PresetField(
    path="settings.client_id",
    label="Client id",
    where="Free to choose, and used by nobody else; made where it is left out",
    required=False,
    example="hybridmq",
)


def _login(where: str) -> tuple[PresetField, PresetField]:
    return (
        PresetField(path="settings.username", label="User name", where=where, example="hybridmq"),
        PresetField(path="settings.password", label="Password", where=where, kind="secret"),
    )


PRESETS = (
    Preset(
        id="aws_iot",
        name="AWS IoT Core",
        summary="MQTT over TLS with a client certificate",
        settings={"auth": "aws_iot", "protocol": "mqtts", "port": 8883, "mqtt_version": "5"},
        topics=DEFAULT_TOPICS,
        fields=(
            PresetField(
                path="settings.host",
                label="Endpoint",
                where="aws iot describe-endpoint --endpoint-type iot:Data-ATS; in the console: "
                "Connect, Domain configurations",
                example="a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com",
            ),
            PresetField(
                path="settings.tls.client_certificate",
                label="Certificate",
                where="aws iot create-keys-and-certificate --set-as-active --certificate-pem-outfile …; "
                "in the console: Security, Certificates, Add certificate",
                kind="pem",
            ),
            PresetField(
                path="settings.tls.client_key",
                label="Private key",
                where="Comes with the certificate (--private-key-outfile), and only then",
                kind="pem",
            ),
            PresetField(
                path="settings.client_id",
                label="Client id",
                where="One that the certificate's policy allows for iot:Connect; often a thing's name",
                required=False,
                example="hybridmq",
            ),
        ),
        notes=(
            (
                "The certificate must be active, and a policy attached to it: iot:Connect for the client id, "
                "iot:Subscribe for each filter (topicfilter/…), iot:Receive and iot:Publish for the topics."
            ),
            f"Where 8883 is blocked, take port 443: then ALPN {AWS_ALPN} is offered by itself.",
            (
                "What AWS hangs up on is refused beforehand: QoS 2, topics over 256 bytes or 8 levels, more than "
                f"{AWS_SUBSCRIPTIONS_MAX} filters."
            ),
            "AWS keeps messages of an absent client for an hour, unless the account's quota is raised.",
        ),
        documentation="https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html",
    ),
    Preset(
        id="azure_iot",
        name="Azure IoT Hub",
        summary="One device of a hub, with its symmetric key; tokens are made and renewed here",
        settings={"auth": "azure_sas", "protocol": "mqtts", "port": 8883, "token_lifetime_s": 3600},
        topics=(),
        fields=(
            PresetField(
                path="settings.host",
                label="Host name",
                where="Portal: the hub's Overview, Hostname; in a connection string after HostName=",
                example="contoso.azure-devices.net",
            ),
            PresetField(
                path="settings.device_id",
                label="Device id",
                where="Portal: Device management, Devices; in a connection string after DeviceId=",
                example="gateway-1",
            ),
            PresetField(
                path="settings.shared_access_key",
                label="Primary key",
                where="Portal: the device's page; az iot hub device-identity show; in a connection string "
                "after SharedAccessKey=",
                kind="secret",
            ),
        ),
        notes=(
            (
                "A hub is no broker that hands everything to everybody: a device gets its own cloud-to-device "
                "messages, twin updates and direct methods. Without topics: devices/<device id>/messages/devicebound/#."
            ),
            "What the other devices send leaves a hub by its routes and its Event Hubs endpoint.",
            "Where 8883 is blocked, take protocol wss: port 443, path /$iothub/websocket.",
            "MQTT 3.1.1, QoS 0 and 1; user name and client id follow from the device id.",
            "One connection a device: a device that connects by itself puts this one out.",
        ),
        documentation="https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
    ),
    Preset(
        id="hivemq_cloud",
        name="HiveMQ Cloud",
        summary="MQTT over TLS with user name and password",
        settings={"auth": "password", "protocol": "mqtts", "port": 8883, "mqtt_version": "5"},
        topics=DEFAULT_TOPICS,
        fields=(
            PresetField(
                path="settings.host",
                label="Cluster URL",
                where="HiveMQ Cloud console: Manage cluster, Overview, URL",
                example="0123456789abcdef.s1.eu.hivemq.cloud",
            ),
            *_login("HiveMQ Cloud console: Manage cluster, Access Management"),
            _CLIENT_ID,
        ),
        notes=(
            "The cluster's certificate is of a public authority: leave `ca` out.",
            "WebSocket: protocol wss, port 8884, path /mqtt.",
            "The credential's permission must cover the filters: subscribe, and publish where you send commands.",
        ),
        documentation="https://docs.hivemq.com/hivemq-cloud/",
        ports={"mqtts": 8883, "wss": 8884},
    ),
    Preset(
        id="emqx_cloud",
        name="EMQX Cloud",
        summary="MQTT over TLS with user name and password",
        settings={"auth": "password", "protocol": "mqtts", "port": 8883, "mqtt_version": "5"},
        topics=(
            TopicFilter(filter="$share/hybridmq/devices/+/telemetry"),
            TopicFilter(filter="$share/hybridmq/devices/+/status"),
        ),
        fields=(
            PresetField(
                path="settings.host",
                label="Address",
                where="EMQX console: the deployment's Overview, MQTT connection information",
                example="a1b2c3d4.ala.eu-central-1.emqxsl.com",
            ),
            *_login("EMQX console: Access Control, Client Authentication"),
            PresetField(
                path="settings.tls.ca",
                label="Certificate authority",
                where="EMQX console: the deployment's Overview, CA certificate; of use where the public "
                "authorities do not do",
                kind="pem",
                required=False,
            ),
            _CLIENT_ID,
        ),
        notes=(
            (
                "Serverless takes TLS only: 8883, or protocol wss at 8084 with path /mqtt. All Serverless "
                "deployments share one authority; Dedicated ones have the ports and the certificate you gave them."
            ),
            "The filters are a shared subscription (MQTT 5 §4.8.2): more clients of the group share the load.",
        ),
        documentation="https://docs.emqx.com/en/cloud/latest/deployments/port_guide_serverless.html",
        ports={"mqtts": 8883, "wss": 8084},
    ),
    Preset(
        id="mosquitto",
        name="Mosquitto",
        summary="A Mosquitto of your own, or any other broker that speaks MQTT",
        settings={"auth": "password", "protocol": "mqtts", "port": 8883, "mqtt_version": "5"},
        topics=DEFAULT_TOPICS,
        fields=(
            PresetField(
                path="settings.host",
                label="Host",
                where="A name or an address that is reachable from the internet",
                example="broker.example.com",
            ),
            *_login(
                "mosquitto_passwd -c /etc/mosquitto/passwd hybridmq, and password_file in mosquitto.conf"
            ),
            _CA,
            _CLIENT_ID,
        ),
        notes=(
            (
                "mosquitto.conf needs `listener 8883`, `certfile` and `keyfile`; with `require_certificate true`, take "
                "auth `client_certificate`. Without TLS: protocol `mqtt`, port 1883."
            ),
            (
                "Messages for us wait while we are away, up to `max_queued_messages` (1,000): raise it, and set "
                "`persistence true`."
            ),
            "An `acl_file` must let this user read the filters' topics.",
        ),
        documentation="https://mosquitto.org/man/mosquitto-conf-5.html",
    ),
)
