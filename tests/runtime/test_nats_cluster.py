"""Three servers, three copies of every stream, TLS and nkeys: as Kubernetes runs them."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import monotonic

import httpx
import nats.errors
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from contracts.streams import STREAMS
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.ports import LOOPBACK, free_port
from runtime.bus import connect
from runtime.jetstream import request
from runtime.pull import Pull
from runtime.settings import BusSettings
from tests.conftest import RunService
from tests.support.certificates import Certificates, make_certificates
from tests.support.eventually import eventually, eventually_now
from tests.support.ledger import Ledger, Load, Mqtt, Verdict, judge
from tests.support.nats_cluster import NatsCluster
from tests.support.service import Service, run_module

ORGANIZATION = "org_abcdefgh12345678"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    started = NatsCluster(tmp_path_factory.mktemp("cluster"))
    started.start()
    run_module("runtime.provision", started.provision())
    yield started
    started.stop()


async def test_every_stream_has_three_copies_that_are_current(cluster: NatsCluster) -> None:
    async with cluster.client("provision") as client:

        async def copies(name: str) -> list[bool]:
            info = await request(client, f"$JS.API.STREAM.INFO.{name}")
            assert info["config"]["num_replicas"] == 3, name
            return [replica["current"] for replica in info["cluster"]["replicas"]]

        for stream in STREAMS:
            await eventually(lambda stream=stream: _are_current(copies, stream.name))  # type: ignore[misc]


def test_the_brokers_own_streams_have_three_copies_too(cluster: NatsCluster) -> None:
    def copies() -> dict[str, int]:
        url = f"http://{LOOPBACK}:{cluster.servers[0].ports.monitor}/jsz?acc=DEVICES&streams=true&config=true"
        account = httpx.get(url, timeout=10).json()["account_details"][0]
        return {held["name"]: held["config"]["num_replicas"] for held in account["stream_detail"]}

    eventually_now(lambda: "$MQTT_msgs" in copies())
    assert {name: count for name, count in copies().items() if count != 3} == {}


async def _are_current(copies: Callable[[str], Awaitable[list[bool]]], name: str) -> bool:
    return await copies(name) == [True, True]


def test_a_device_reaches_the_log_through_the_relay_by_tls_all_the_way(
    cluster: NatsCluster, run_service: RunService, tmp_path: Path
) -> None:
    first = cluster.servers[0]
    key = base64.b64encode(b"k" * 32).decode()
    secured = {"NATS_URL": cluster.url, "PLATFORM_CA": str(cluster.authority), "TLS_TICKET_KEY": key}
    credentials = run_service("credentials", first, **secured)
    run_service("ingest", first, **secured)  # ready only with its TLS connections to both accounts
    gateway = run_service("gateway", first, **secured)
    front = make_certificates(tmp_path / "front")
    port, health = free_port(), free_port()
    relay = Service(
        "relay",
        {
            **secured,
            "MQTTS_PORT": str(port),
            "MQTT_WSS_PORT": str(free_port()),
            "MQTT_TLS_CERT": str(front.server),
            "MQTT_TLS_KEY": str(front.server_key),
            "RELAY_MQTT_PORT": str(first.ports.mqtt),
            "RELAY_WS_PORT": str(first.ports.websocket),
            "HEALTH_PORT": str(health),
        },
        tmp_path / "relay.log",
    )
    relay.start()
    try:
        admin = {"Authorization": f"Bearer {credentials.env['ADMIN_KEY']}"}
        made = httpx.post(f"{gateway.url}/v1/organizations", json={"name": "Acme"}, headers=admin, timeout=20)
        owner = {"Authorization": f"Bearer {made.json()['api_key']['secret']}"}
        given = httpx.post(
            f"{gateway.url}/v1/credentials", json={"device_id": "d1"}, headers=owner, timeout=20
        )
        device = given.json()
        load = Load(
            Ledger(tmp_path / "ledger"),
            Mqtt(
                port,
                username=device["username"],
                password=device["password"],
                client_id=device["client_id"],
                topic=f"{device['topic_prefix']}/devices/d1/telemetry",
                tls=ssl.create_default_context(cafile=front.authority),
            ),
            window=10,
            rate=100,
        )
        load.start()
        eventually_now(lambda: len(load.ledger.acknowledged) >= 20)
        load.leave_off.set()
        load.join(60)
        assert load.broken == 0
    finally:
        relay.process.stop()


async def test_a_server_of_another_authority_is_not_spoken_to(
    cluster: NatsCluster, certificates: Certificates
) -> None:
    settings = BusSettings(
        nats_url=cluster.url,
        nats_seed=SecretStr(cluster.seeds.platform["gateway"]),
        platform_ca=certificates.authority,
    )
    with pytest.raises((OSError, nats.errors.Error, asyncio.TimeoutError)):
        async with asyncio.timeout(1.5):
            await connect(settings, "gateway")


async def test_a_renewed_certificate_is_taken_without_a_restart(cluster: NatsCluster) -> None:
    server, tls = cluster.servers[0], cluster.files

    def shown() -> str:
        with (
            socket.create_connection((LOOPBACK, server.ports.mqtt), timeout=10) as plain,
            cluster.tls.wrap_socket(plain, server_hostname=LOOPBACK) as secured,
        ):
            return str(secured.getpeercert())

    async with cluster.client("gateway") as client:
        assert "test server" in shown()
        before = tls.server.read_text(), tls.server_key.read_text()
        try:
            tls.server.write_bytes(tls.client.read_bytes())  # of the same authority, for the same names
            tls.server_key.write_bytes(tls.client_key.read_bytes())
            server.process.signal(signal.SIGHUP)  # as the reloader beside it does
            await eventually(lambda: "test client" in shown())
        finally:
            tls.server.write_text(before[0])
            tls.server_key.write_text(before[1])
            server.process.signal(signal.SIGHUP)
        await eventually(lambda: "test server" in shown())
        assert client.stats["reconnects"] == 0


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=[pytest.mark.faults, pytest.mark.slow])])
async def test_what_was_acknowledged_survives_the_death_of_the_logs_leader(
    cluster: NatsCluster, tmp_path: Path, kills: int
) -> None:
    devices = [f"{kills}-{number}" for number in range(3)]  # none has messages of an earlier test
    loads = [_load(cluster, tmp_path, name, number) for number, name in enumerate(devices)]
    async with cluster.client("telemetry") as client:
        for load in loads:
            load.start()
        for _ in range(kills):
            await asyncio.sleep(1)
            led = await eventually(lambda: cluster.leader(client, "MESSAGES"), timeout_s=60)
            assert led is not None
            await asyncio.to_thread(led.kill)
            await asyncio.sleep(2)
            await asyncio.to_thread(led.start)
    for load in loads:
        load.leave_off.set()
    for load in loads:
        await asyncio.to_thread(load.join, 60)
        assert not load.is_alive()
        assert load.ledger.acknowledged
    verdicts = await _judged(cluster, dict(zip(devices, loads, strict=True)))
    assert verdicts == dict.fromkeys(devices, Verdict(0, 0, 0, 0))


def _load(cluster: NatsCluster, folder: Path, name: str, number: int) -> Load:
    ports = [server.ports.mqtt for server in cluster.servers]
    way = Mqtt(
        *ports[number:],
        *ports[:number],
        username=DEVICES_MQTT_USER,
        password=cluster.seeds.mqtt_password,
        client_id=f"device-{name}",
        topic=f"{ORGANIZATION}/devices/{name}/telemetry",
        tls=cluster.tls,
    )
    return Load(Ledger(folder / f"ledger-{name}"), way, window=50, rate=500)


async def _judged(cluster: NatsCluster, loads: dict[str, Load]) -> dict[str, Verdict]:
    """Once all that was acknowledged is in the log, and nothing more comes."""
    begun = monotonic()
    rows: dict[str, list[int]] = {name: [] for name in loads}
    async with cluster.client("telemetry") as client:
        pull = Pull(client, "MESSAGES", start=1)
        while True:
            batch = await pull.next_batch(4000, timeout_s=1)
            for entry in batch:
                if (device := entry.subject.split(".")[4]) in rows:
                    rows[device].append(json.loads(entry.data)["number"])
            missing = sum(
                len(set(load.ledger.acknowledged) - set(rows[name])) for name, load in loads.items()
            )
            if not missing and not batch:
                return {name: judge(load.ledger, rows[name]) for name, load in loads.items()}
            assert monotonic() - begun < 120, f"{missing} of what was acknowledged are not in the log"


@pytest.mark.faults
async def test_a_leader_that_hangs_is_gone_without_and_comes_back(
    cluster: NatsCluster, tmp_path: Path
) -> None:
    load = _load(cluster, tmp_path, "hung", 0)
    async with cluster.client("telemetry") as client:
        load.start()
        await eventually(lambda: len(load.ledger.acknowledged) > 200, timeout_s=60)
        led = await eventually(lambda: cluster.leader(client, "MESSAGES"), timeout_s=60)
        assert led is not None
        await asyncio.to_thread(led.pause)
        try:
            others = [server for server in cluster.servers if server is not led]
            await eventually(lambda: _led_by(cluster, client, others), timeout_s=60)
            before = len(load.ledger.acknowledged)
            await eventually(lambda: len(load.ledger.acknowledged) > before, timeout_s=60)
        finally:
            await asyncio.to_thread(led.resume)
        await asyncio.sleep(3)
    load.leave_off.set()
    await asyncio.to_thread(load.join, 60)
    assert await _judged(cluster, {"hung": load}) == {"hung": Verdict(0, 0, 0, 0)}


async def _led_by(cluster: NatsCluster, client: Client, servers: list[NatsServer]) -> bool:
    return await cluster.leader(client, "MESSAGES") in servers


@pytest.mark.faults
async def test_with_two_of_three_down_nothing_is_acknowledged_that_is_not_kept(
    cluster: NatsCluster, tmp_path: Path
) -> None:
    load = _load(cluster, tmp_path, "alone", 0)
    load.start()
    await eventually(lambda: len(load.ledger.acknowledged) > 200, timeout_s=60)
    for server in cluster.servers[1:]:
        await asyncio.to_thread(server.kill)
    await asyncio.sleep(3)
    alone = len(load.ledger.acknowledged)
    await asyncio.sleep(5)
    assert len(load.ledger.acknowledged) == alone, "one of three cannot promise anything"
    for server in cluster.servers[1:]:
        await asyncio.to_thread(server.begin)
    for server in cluster.servers[1:]:
        await asyncio.to_thread(server.await_ready)
    await eventually(lambda: len(load.ledger.acknowledged) > alone, timeout_s=90)
    load.leave_off.set()
    await asyncio.to_thread(load.join, 60)
    assert await _judged(cluster, {"alone": load}) == {"alone": Verdict(0, 0, 0, 0)}
