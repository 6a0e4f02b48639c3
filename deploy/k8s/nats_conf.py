"""`python -m deploy.k8s.nats_conf`: writes components/nats/nats.conf from `contracts.permissions`.

Keys, the password and sizes are the server's own environment variables, so that one file serves all installations.
`--next PLATFORM_GATEWAY=U…` prints one in which that user has a second key: while a service changes its own.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
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
PUBLIC_KEY = re.compile(r"U[A-Z2-7]{55}")
LOG_FILE = "/var/log/nats/nats.log"
"""Read by the container beside the server: `kubectl logs nats-0 -c log`."""


def variable(account: str, user: str) -> str:
    """The environment variable that holds a user's public key."""
    return f"{account}_{user}".upper()


def text(*, alone: bool = False, following: Mapping[str, str] | None = None) -> str:
    """What the file holds; `alone`: of one server without others; `following`: second keys, by users' variables."""
    keys = dict(following or {})
    devices = {user: held for user, held in DEVICES_USERS.items() if user != DEVICES_MQTT_USER}
    return render(
        NatsConfig(
            server_name="$POD_NAME",
            store=Path("/data/jetstream"),
            ports=PORTS,
            max_file_store="$MAX_FILE_STORE",
            platform_users=_by_variable("PLATFORM", PLATFORM_USERS, keys),
            sys_users=_by_variable("SYS", SYS_USERS, keys),
            devices_users=_by_variable("DEVICES", devices, keys),
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


def _by_variable(
    account: str, users: dict[str, Permissions], following: Mapping[str, str]
) -> dict[str, Permissions]:
    names = {variable(account, user): held for user, held in users.items()}
    seconds = {key: names[name] for name, key in following.items() if name in names}
    return {f"${name}": held for name, held in names.items()} | seconds


def _following(given: list[str]) -> dict[str, str]:
    users = (("PLATFORM", PLATFORM_USERS), ("SYS", SYS_USERS), ("DEVICES", DEVICES_USERS))
    known = {variable(account, user) for account, held in users for user in held}
    keys = dict(each.split("=", 1) for each in given if "=" in each)
    if len(keys) != len(given) or keys.keys() - known or not all(map(PUBLIC_KEY.fullmatch, keys.values())):
        raise SystemExit(f"--next <user>=<its next public key, U…>, of the users {', '.join(sorted(known))}")
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.k8s.nats_conf", description=__doc__)
    parser.add_argument("--next", action="append", default=[], metavar="USER=KEY")
    if following := _following(parser.parse_args().next):
        sys.stdout.write(text(following=following))
    else:
        PATH.write_text(text())


if __name__ == "__main__":
    main()
