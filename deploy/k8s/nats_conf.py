"""`python -m deploy.k8s.nats_conf`: writes components/nats/nats.conf from `contracts.permissions`.

Keys, the password and sizes are the server's own environment variables, so that one file serves all installations.
"""

from __future__ import annotations

from pathlib import Path

from contracts.permissions import DEVICES_USERS, PLATFORM_USERS, SYS_USERS, Permissions
from deploy.local.nats import DEVICES_MQTT_USER
from deploy.local.nats_config import Cluster, NatsConfig, NatsPorts, ServerTls, render

PATH = Path(__file__).parent / "components" / "nats" / "nats.conf"
PORTS = NatsPorts(client=4222, mqtt=1883, websocket=9001, monitor=8222)
CLUSTER_PORT = 6222
SERVERS = 3
ISSUER = "CALLOUT_ISSUER"
PASSWORD = "DEVICES_MQTT_PASSWORD"  # noqa: S105  # the variable's name
CERTIFICATES = "/run/tls/nats"
LOG_FILE = "/var/log/nats/nats.log"
"""Read by the container beside the server: `kubectl logs nats-0 -c log`."""


def variable(account: str, user: str) -> str:
    """The environment variable that holds a user's public key."""
    return f"{account}_{user}".upper()


def text(*, alone: bool = False) -> str:
    """What the file holds; `alone`: of one server without others."""
    devices = {user: held for user, held in DEVICES_USERS.items() if user != DEVICES_MQTT_USER}
    return render(
        NatsConfig(
            server_name="$POD_NAME",
            store=Path("/data/jetstream"),
            ports=PORTS,
            max_file_store="$MAX_FILE_STORE",
            platform_users=_by_variable("PLATFORM", PLATFORM_USERS),
            sys_users=_by_variable("SYS", SYS_USERS),
            devices_users=_by_variable("DEVICES", devices),
            devices_passwords={DEVICES_MQTT_USER: (f"${PASSWORD}", DEVICES_USERS[DEVICES_MQTT_USER])},
            callout_issuer=f"${ISSUER}",
            sync_interval="$SYNC_INTERVAL",
            server_tls=ServerTls(*(f"{CERTIFICATES}/{name}" for name in ("tls.crt", "tls.key", "ca.crt"))),
            cluster=None if alone else _cluster(),
            host="0.0.0.0",  # noqa: S104  # the pod's address; a NetworkPolicy says who may come
            pid_file="/run/nats/nats.pid",
            log_file=None if alone else LOG_FILE,
        )
    )


def _cluster() -> Cluster:
    routes = [f"nats-{number}.nats-headless:{CLUSTER_PORT}" for number in range(SERVERS)]
    return Cluster("hybridmq", CLUSTER_PORT, routes, replicas=SERVERS)


def _by_variable(account: str, users: dict[str, Permissions]) -> dict[str, Permissions]:
    return {f"${variable(account, user)}": held for user, held in users.items()}


if __name__ == "__main__":
    PATH.write_text(text())
