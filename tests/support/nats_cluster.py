"""A NATS cluster of three on loopback, configured as in Kubernetes: TLS on every port, an nkey for every user."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client

from contracts.failures import Unavailable
from deploy.k8s.nats_conf import SERVERS
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.nats_config import Cluster, NatsPorts, ServerTls
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.secrets import Secrets
from runtime.jetstream import request
from tests.support.certificates import make_certificates


class NatsCluster:
    """Servers `nats-0` to `nats-2` with the same keys, or as many as are asked for; so many copies of each stream."""

    def __init__(self, folder: Path, *, servers: int = SERVERS, copies: int = SERVERS) -> None:
        self._copies = copies
        files = self.files = make_certificates(folder / "tls")
        self.authority = files.authority
        routes = [free_port() for _ in range(servers)]
        tls = ServerTls(str(files.server), str(files.server_key), str(files.authority))
        self.servers = [
            NatsServer(
                folder / f"nats-{number}",
                NatsPorts(free_port(), free_port(), free_port(), free_port()),
                Secrets(folder / "secrets"),
                name=f"nats-{number}",
                cluster=None
                if servers == 1
                else Cluster("hybridmq", port, [f"{LOOPBACK}:{route}" for route in routes], copies),
                server_tls=tls,
            )
            for number, port in enumerate(routes)
        ]
        self.seeds = self.servers[0].seeds

    @property
    def url(self) -> str:
        """All servers, as `NATS_URL` names them."""
        return ",".join(server.url for server in self.servers)

    @property
    def tls(self) -> ssl.SSLContext:
        """Of a client that believes the cluster's authority alone."""
        return ssl.create_default_context(cafile=self.authority)

    def provision(self, user: str = "provision") -> dict[str, str]:
        """The environment of `python -m runtime.provision`, with what every program of the platform needs."""
        return {
            "NATS_URL": self.url,
            "NATS_SEED": self.seeds.platform[user],
            "PLATFORM_CA": str(self.authority),
            "HOSTED_MQTT_URL": self.servers[0].mqtt_url,
            "HOSTED_MQTT_USERNAME": DEVICES_MQTT_USER,
            "HOSTED_MQTT_PASSWORD": self.seeds.mqtt_password,
            "STREAM_REPLICAS": str(self._copies),
            "STORAGE_BYTES": str(self.servers[0].storage_bytes // (len(self.servers) + 1)),
        }

    def start(self) -> None:
        for server in self.servers:
            server.begin()
        for server in self.servers:
            server.await_ready()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[Client]:
        """With exactly the permissions of a service; goes on at another server when its own dies."""
        client = await nats.connect(
            self.url.split(","),
            nkeys_seed_str=self.seeds.platform[user],
            inbox_prefix=f"_INBOX.{user}".encode(),
            tls=self.tls,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
        )
        try:
            yield client
        finally:
            await client.close()

    async def leader(self, client: Client, stream: str) -> NatsServer | None:
        """Who leads a stream now; None during an election."""
        try:
            info = await request(client, f"$JS.API.STREAM.INFO.{stream}")
        except Unavailable:
            return None
        leader = info["cluster"].get("leader")
        return next((server for server in self.servers if server.name == leader), None)
