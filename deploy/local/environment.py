"""What each program is told, and by nothing else: environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.secrets_format import mint
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from deploy.local.tls import TlsFiles

KEY_ENCRYPTION = "key-encryption"
"""In a file, for `make rotate-key` changes it while everything runs."""
SERVICES = ("credentials", "telemetry", "ingest", "gateway")

Environment = dict[str, str]


@dataclass(frozen=True)
class ServicePorts:
    """Loopback ports of the services."""

    http: int
    health: Mapping[str, int]  # by service


@dataclass(frozen=True)
class Secured:
    """The encrypted listeners: certificate and ports."""

    tls: TlsFiles
    mqtts: int
    wss: int
    health: int

    @property
    def mqtts_url(self) -> str:
        return f"mqtts://{LOOPBACK}:{self.mqtts}"

    @property
    def wss_url(self) -> str:
        return f"wss://{LOOPBACK}:{self.wss}/mqtt"


def admin_key(secrets: Secrets) -> str:
    """The key that creates organizations."""
    return secrets.once("admin.key", lambda: mint("admin"))


def provision(nats: NatsServer) -> Environment:
    """For `python -m runtime.provision`."""
    return {
        **_nats_user(nats, "provision"),
        **_hosted_mqtt(nats),
        # The rest is for the server's own MQTT streams, which reserve nothing.
        "STORAGE_BYTES": str(nats.storage_bytes * 9 // 10),
    }


def migrate(urls: DatabaseUrls) -> Environment:
    """For `python -m services.telemetry.migrate`."""
    return {"DATABASE_OWNER_URL": urls.owner}


def services(
    nats: NatsServer,
    urls: DatabaseUrls,
    secrets: Secrets,
    ports: ServicePorts,
    secured: Secured | None = None,
) -> dict[str, Environment]:
    """For `python -m services.<name>`, by name."""
    own: dict[str, Environment] = {
        "credentials": {
            "SECRET_HASH_KEY": secrets.key("secret-hash"),
            "KEY_ENCRYPTION_KEY_FILE": str(secrets.key_file(KEY_ENCRYPTION)),
            "ADMIN_KEY": admin_key(secrets),
            "CALLOUT_ISSUER_SEED": nats.seeds.callout_issuer,
            "SYS_NATS_SEED": nats.seeds.sys["credentials"],
            "DEVICES_NATS_SEED": nats.seeds.devices["credentials"],
            **_hosted_mqtt(nats),
            "TLS_TICKET_KEY": secrets.key("tls-ticket"),
            "BROKER_LOG": str(nats.process.log),
        },
        "telemetry": {"DATABASE_URL": urls.projector, "DATABASE_QUERY_URL": urls.query},
        "ingest": {
            "DEVICES_NATS_SEED": nats.seeds.devices["ingest"],
            **_hosted_mqtt(nats),
            # Brokers on this machine may be connected to, and nothing else that is near.
            "ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        },
        "gateway": {
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(ports.http),
            "PUBLIC_MQTT_URL": nats.mqtt_url,
            "PUBLIC_MQTT_WS_URL": nats.mqtt_ws_url,
            **(_public_tls(secured) if secured else {}),
        },
    }
    return {
        name: {
            **_nats_user(nats, name),
            "HEALTH_HOST": LOOPBACK,
            "HEALTH_PORT": str(ports.health[name]),
            **own[name],
        }
        for name in SERVICES
    }


def relay(nats: NatsServer, secrets: Secrets, secured: Secured) -> Environment:
    """For `python -m services.relay`."""
    clients = secured.tls.client_authority
    return {
        "RELAY_HOST": LOOPBACK,
        "MQTTS_PORT": str(secured.mqtts),
        "MQTT_WSS_PORT": str(secured.wss),
        "MQTT_TLS_CERT": str(secured.tls.certificate),
        "MQTT_TLS_KEY": str(secured.tls.key),
        "MQTT_TLS_CLIENT_CA": str(clients) if clients else "",
        "TLS_TICKET_KEY": secrets.key("tls-ticket"),
        "RELAY_MQTT_HOST": LOOPBACK,
        "RELAY_MQTT_PORT": str(nats.ports.mqtt),
        "RELAY_WS_PORT": str(nats.ports.websocket),
        "HEALTH_HOST": LOOPBACK,
        "HEALTH_PORT": str(secured.health),
    }


def _public_tls(secured: Secured) -> Environment:
    authority = secured.tls.authority
    return {
        "PUBLIC_MQTTS_URL": secured.mqtts_url,
        "PUBLIC_MQTT_WSS_URL": secured.wss_url,
        "MQTT_TLS_CA": str(authority) if authority else "",
    }


def _nats_user(nats: NatsServer, name: str) -> Environment:
    return {"NATS_URL": nats.url, "NATS_SEED": nats.seeds.platform[name], "HOSTED_BROKER": "nats"}


def _hosted_mqtt(nats: NatsServer) -> Environment:
    return {
        "HOSTED_MQTT_URL": nats.mqtt_url,
        "HOSTED_MQTT_USERNAME": DEVICES_MQTT_USER,
        "HOSTED_MQTT_PASSWORD": nats.seeds.mqtt_password,
    }
