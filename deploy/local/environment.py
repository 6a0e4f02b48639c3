"""What each program is told, and by nothing else: environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.secrets_format import mint
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets

KEY_ENCRYPTION = "key-encryption"
"""In a file, for `make rotate-key` changes it while everything runs."""
SERVICES = ("credentials", "telemetry", "ingest", "gateway")

Environment = dict[str, str]


@dataclass(frozen=True)
class ServicePorts:
    """Loopback ports of the services."""

    http: int
    health: Mapping[str, int]  # by service


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
    nats: NatsServer, urls: DatabaseUrls, secrets: Secrets, ports: ServicePorts
) -> dict[str, Environment]:
    """For `python -m services.<name>`, by name."""
    own: dict[str, Environment] = {
        "credentials": {
            "SECRET_HASH_KEY": secrets.key("secret-hash"),
            "KEY_ENCRYPTION_KEY_FILE": str(secrets.key_file(KEY_ENCRYPTION)),
            "ADMIN_KEY": admin_key(secrets),
            "CALLOUT_ISSUER_SEED": nats.seeds.callout_issuer,
            "SYS_NATS_SEED": nats.seeds.sys["credentials"],
        },
        "telemetry": {"DATABASE_URL": urls.projector, "DATABASE_QUERY_URL": urls.query},
        "ingest": {
            "DEVICES_NATS_SEED": nats.seeds.devices["ingest"],
            **_hosted_mqtt(nats),
            # On one's own machine the brokers to connect are on this network.
            "ALLOW_PRIVATE_ADDRESSES": "true",
        },
        "gateway": {
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(ports.http),
            "PUBLIC_MQTT_URL": nats.mqtt_url,
            "PUBLIC_MQTT_WS_URL": nats.mqtt_ws_url,
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


def _nats_user(nats: NatsServer, name: str) -> Environment:
    return {"NATS_URL": nats.url, "NATS_SEED": nats.seeds.platform[name], "HOSTED_BROKER": "nats"}


def _hosted_mqtt(nats: NatsServer) -> Environment:
    return {
        "HOSTED_MQTT_URL": nats.mqtt_url,
        "HOSTED_MQTT_USERNAME": DEVICES_MQTT_USER,
        "HOSTED_MQTT_PASSWORD": nats.seeds.mqtt_password,
    }
