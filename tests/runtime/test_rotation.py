"""docs/how-to/rotate-certificates.md, walked: three servers as in Kubernetes, told by a signal, under load."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiomqtt
import nats.errors
import pytest
from cryptography import x509
from pydantic import SecretStr

from contracts.failures import Unavailable
from contracts.streams import STREAMS
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.nats_config import render
from deploy.local.ports import LOOPBACK
from deploy.local.secrets import Secrets, public_key, write_private
from runtime.bus import Bus, connect
from runtime.jetstream import ApiError, request
from runtime.settings import BusSettings
from tests.support.certificates import Certificates, make_certificates
from tests.support.eventually import eventually
from tests.support.nats_cluster import NatsCluster

STREAM = next(stream for stream in STREAMS if stream.name == "ACTIVITY")
ORGANIZATION = "org_abcdefgh12345678"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    started = NatsCluster(tmp_path_factory.mktemp("rotated"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def log(cluster: NatsCluster) -> None:
    async with cluster.client("provision") as client:

        async def made() -> bool:
            try:
                await request(client, f"$JS.API.STREAM.CREATE.{STREAM.name}", STREAM.config(3))
            except (ApiError, Unavailable):
                return False
            return True

        await eventually(made, timeout_s=60)


class Sender:
    """Sends without a pause, each message until it is acknowledged."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.acknowledged, self._done = bus, 0, False
        self.broken = 0

    async def run(self) -> None:
        while not self._done:
            try:
                subject, number = f"activity.{ORGANIZATION}.rotated", f"{id(self)}-{self.acknowledged}"
                await request(self.bus.client, subject, b"{}", headers={"Nats-Msg-Id": number}, timeout_s=2)
            except Unavailable:
                self.broken += 1
                await asyncio.sleep(0.05)
                continue
            self.acknowledged += 1
            await asyncio.sleep(0.005)

    async def more(self) -> None:
        """Returns when it got further."""
        before = self.acknowledged

        async def further() -> bool:
            return self.acknowledged > before + 5

        await eventually(further, timeout_s=30)

    def leave_off(self) -> None:
        self._done = True


@asynccontextmanager
async def service(cluster: NatsCluster, authority: Path, seed: str | None = None) -> AsyncIterator[Bus]:
    """Connected as a service is, with the authorities that the file holds at this moment."""
    settings = BusSettings(
        nats_url=cluster.url,
        nats_seed=SecretStr(seed or cluster.seeds.platform["gateway"]),
        platform_ca=authority,
    )
    bus = await connect(settings, "gateway")
    try:
        yield bus
    finally:
        await bus.client.close()


@asynccontextmanager
async def sending(bus: Bus) -> AsyncIterator[Sender]:
    sender = Sender(bus)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        sender.leave_off()
        await running


async def stored(cluster: NatsCluster) -> int:
    async with cluster.client("provision") as client:
        held: int = (await request(client, f"$JS.API.STREAM.INFO.{STREAM.name}"))["state"]["messages"]
        return held


def shown(port: int, authority: Path, *, first: bytes = b"") -> int:
    """The serial number of what a listener shows; raises SSLError where that authority did not sign it."""
    context = ssl.create_default_context(cafile=authority)
    with socket.create_connection((LOOPBACK, port), timeout=10) as plain:
        if first:
            plain.recv(65536)  # nats-server says INFO before TLS begins
        with context.wrap_socket(plain, server_hostname=LOOPBACK) as secured:
            der = secured.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def is_shown(server: NatsServer, files: Certificates) -> bool:
    wanted = x509.load_pem_x509_certificate(files.server.read_bytes()).serial_number
    ports = server.ports
    return all(
        shown(port, files.authority, first=first) == wanted
        for port, first in ((ports.client, b"INFO"), (ports.mqtt, b""), (ports.websocket, b""))
    )


async def tell(server: NatsServer) -> None:
    """What the reloader does; returns when the server has read its files again."""
    told = server.process.log.read_text().count("Reloaded server configuration")
    server.process.signal(signal.SIGHUP)

    async def reloaded() -> bool:
        return server.process.log.read_text().count("Reloaded server configuration") > told

    await eventually(reloaded, timeout_s=30)


@asynccontextmanager
async def device(cluster: NatsCluster) -> AsyncIterator[aiomqtt.Client]:
    """At the MQTT listener by TLS."""
    async with aiomqtt.Client(
        LOOPBACK,
        cluster.servers[0].ports.mqtt,
        username=DEVICES_MQTT_USER,
        password=cluster.seeds.mqtt_password,
        identifier="platform-rotation",
        tls_context=cluster.tls,
        timeout=30,
    ) as client:
        yield client


async def publish(client: aiomqtt.Client) -> None:
    await client.publish(f"{ORGANIZATION}/devices/d1/telemetry", b"1", qos=1)


async def test_a_renewed_certificate_is_shown_by_every_listener_and_nobody_is_cut_off(
    cluster: NatsCluster, log: None
) -> None:
    """`nats-tls` renewed by the same authority: here by another one that was put beside it before."""
    old = Certificates(*(Path(shutil.copy(path, path.with_suffix(".old"))) for path in paths(cluster.files)))
    new = make_certificates(cluster.files.authority.parent / "next")
    before = await stored(cluster)
    async with device(cluster) as connected:
        async with service(cluster, cluster.authority) as early, sending(early) as first:
            # Both authorities; services that are started anew believe both
            cluster.files.authority.write_bytes(old.authority.read_bytes() + new.authority.read_bytes())
            await publish(connected)
            for server in cluster.servers:
                await tell(server)
            await first.more()
            async with service(cluster, cluster.authority) as restarted, sending(restarted) as second:
                # The other one's certificate and its authority alone, as cert-manager writes them; server by server
                for fresh, held in zip(paths(new), paths(cluster.files), strict=True):
                    shutil.copy(fresh, held)
                for server in cluster.servers:
                    assert is_shown(server, old)
                    await tell(server)
                    assert is_shown(server, new)
                    await second.more()
                    await publish(connected)
                reconnects = [each.client.stats["reconnects"] for each in (early, restarted)]
                assert reconnects == [0, 0], "nobody was cut off, not even who was not started anew"
        # A server that ends now comes back to the others, and who believes the new one goes on
        async with service(cluster, cluster.authority) as later, sending(later) as third:
            cluster.servers[2].stop()
            cluster.servers[2].start()
            await third.more()
            await publish(connected)
    with pytest.raises((OSError, nats.errors.Error, TimeoutError)):
        async with asyncio.timeout(2), service(cluster, old.authority):
            pass
    sent = first.acknowledged + second.acknowledged + third.acknowledged
    assert await stored(cluster) == before + sent, "each that was acknowledged, once"


@pytest.mark.slow
async def test_a_service_changes_its_key_and_the_old_one_is_refused(
    cluster: NatsCluster, log: None, tmp_path: Path
) -> None:
    """Servers are started anew, one by one: nats-server refuses to read other users of its auth callout by a signal."""
    old, new = cluster.seeds.platform["gateway"], Secrets(tmp_path / "secrets").user_seed("next")
    before = await stored(cluster)
    async with service(cluster, cluster.authority) as one, sending(one) as first:
        await configure(cluster, old, new)
        await first.more()
        async with service(cluster, cluster.authority, new) as other, sending(other) as second:
            await second.more()
            await first.more()
            first.leave_off()
            await configure(cluster, new)
            await second.more()
        assert not one.client.is_connected
        with pytest.raises((OSError, nats.errors.Error, TimeoutError)):
            async with asyncio.timeout(2), service(cluster, cluster.authority, old):
                pass
    assert await stored(cluster) == before + first.acknowledged + second.acknowledged


async def configure(cluster: NatsCluster, *seeds: str) -> None:
    """These are the gateway's keys, at one server after the other."""
    current = public_key(cluster.seeds.platform["gateway"])
    for server in cluster.servers:
        config = server._config()
        others = {key: held for key, held in config.platform_users.items() if key != current}
        keys = {public_key(seed): config.platform_users[current] for seed in seeds}
        write_private(server.config_path, render(replace(config, platform_users=others | keys)))
        server.process.stop(timeout_s=20)
        server.process.start()
        await asyncio.to_thread(server.await_ready)


def paths(files: Certificates) -> tuple[Path, ...]:
    return (files.authority, files.server, files.server_key, files.client, files.client_key)
