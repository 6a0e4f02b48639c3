"""`python -m deploy.k8s.secrets`: every secret of an installation, made now, as Kubernetes Secrets on standard output.

Run once. Into a cluster without a secret store: pipe it to `kubectl apply -f -`. With one: put each Secret into the
store as one entry of its name (components/external-secrets), and keep no copy. `--certificates` adds what cert-manager
and CloudNativePG make elsewhere: an authority, and certificates that it signs.
"""

from __future__ import annotations

import argparse
import base64
import secrets as random
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from contracts.permissions import DEVICES_USERS, PLATFORM_USERS, SYS_USERS
from contracts.secrets_format import mint
from deploy.k8s import certificates
from deploy.k8s.nats_conf import ISSUER, PASSWORD, variable
from deploy.local.nats import DEVICES_MQTT_USER
from deploy.local.postgres import DATABASE, OWNER, PROJECTOR, QUERY
from deploy.local.secrets import Secrets, public_key

DATABASE_HOST = "database-rw:5432"
ROLES = {"database-owner": OWNER, "database-projector": PROJECTOR, "database-query": QUERY}
Content = dict[str, dict[str, str]]


def make() -> Content:
    """Secrets by name, their values by key: new ones at each call."""
    with tempfile.TemporaryDirectory() as folder:
        return _made(Secrets(Path(folder) / "secrets"))


def _made(once: Secrets) -> Content:
    seeds = {
        (account, user): once.user_seed(f"{account}-{user}")
        for account, users in (("PLATFORM", PLATFORM_USERS), ("SYS", SYS_USERS), ("DEVICES", DEVICES_USERS))
        for user in users
        if (account, user) != ("DEVICES", DEVICES_MQTT_USER)
    }
    issuer, ticket = once.account_seed("issuer"), once.key("ticket")
    # A letter first: nats-server reads a variable that begins with a digit as a number.
    mqtt = f"p{random.token_hex(24)}"
    passwords = {name: random.token_hex(24) for name in ROLES}

    def url(name: str) -> str:
        return f"postgresql+asyncpg://{ROLES[name]}:{passwords[name]}@{DATABASE_HOST}/{DATABASE}"

    def seed(user: str) -> dict[str, str]:
        return {"nats-seed": seeds["PLATFORM", user]}

    devices = {"hosted-mqtt-password": mqtt}
    return {
        "hybridmq-gateway": seed("gateway"),
        "hybridmq-credentials": {
            **seed("credentials"),
            "sys-nats-seed": seeds["SYS", "credentials"],
            "devices-nats-seed": seeds["DEVICES", "credentials"],
            "callout-issuer-seed": issuer,
            "secret-hash-key": once.key("secret-hash"),
            "key-encryption-key": once.key("key-encryption"),
            "admin-key": mint("admin"),
            "tls-ticket-key": ticket,
            **devices,
        },
        "hybridmq-ingest": {
            **seed("ingest"),
            "devices-nats-seed": seeds["DEVICES", "ingest"],
            **devices,
        },
        "hybridmq-telemetry": {
            **seed("telemetry"),
            "database-url": url("database-projector"),
            "database-query-url": url("database-query"),
        },
        "hybridmq-relay": {"tls-ticket-key": ticket},
        "hybridmq-provision": {**seed("provision"), **devices},
        "hybridmq-backup": seed("backup"),
        "hybridmq-migrate": {"database-owner-url": url("database-owner")},
        "hybridmq-brokerlog": seed("brokerlog"),
        "hybridmq-mosquitto": {"admin-password": random.token_hex(24)},
        "nats-users": {
            **{variable(account, user): public_key(held) for (account, user), held in seeds.items()},
            ISSUER: public_key(issuer),
            PASSWORD: mqtt,
        },
        **{name: {"username": role, "password": passwords[name]} for name, role in ROLES.items()},
    }


def manifests(content: Content, namespace: str) -> list[dict[str, Any]]:
    """The same as Kubernetes has it."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": _type(values),
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }
        for name, values in content.items()
    ]


def _type(values: dict[str, str]) -> str:
    if values.keys() == {"username", "password"}:
        return "kubernetes.io/basic-auth"  # what CloudNativePG asks for
    return "kubernetes.io/tls" if "tls.crt" in values else "Opaque"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", default="hybridmq")
    parser.add_argument("--certificates", action="store_true", help="also an authority and its certificates")
    options = parser.parse_args()
    content = make()
    if options.certificates:
        content |= certificates.make()
    yaml.safe_dump_all(manifests(content, options.namespace), sys.stdout)


if __name__ == "__main__":
    main()
