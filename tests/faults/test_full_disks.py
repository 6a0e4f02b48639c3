"""FAULTS 11: the disk is full, at NATS and at PostgreSQL: nothing acknowledged is lost, and work goes on behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import environment
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.secrets import Secrets
from runtime.jetstream import stream_state
from runtime.pull import Pull
from tests.conftest import RunService
from tests.support.clients import platform_client
from tests.support.disks import fill, memory_disk
from tests.support.eventually import eventually
from tests.support.ledger import Ledger, Load, Mqtt, Verdict, judge
from tests.support.prepared import DATABASE_SETTINGS
from tests.support.service import run_module
from tests.telemetry.world import organization, world

pytestmark = pytest.mark.faults
ORGANIZATION = "org_abcdefgh12345678"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with memory_disk(tmp_path / "disk", 400) as place:
        yield place


async def test_at_nats_nothing_that_was_acknowledged_is_lost(disk: Path, tmp_path: Path) -> None:
    ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
    server = NatsServer(disk / "nats", ports, Secrets(tmp_path / "secrets"), log=tmp_path / "nats.log")
    await asyncio.to_thread(server.start)
    try:
        run_module("runtime.provision", environment.provision(server))
        way = Mqtt(
            ports.mqtt,
            username=DEVICES_MQTT_USER,
            password=server.seeds.mqtt_password,
            client_id="device",
            topic=f"{ORGANIZATION}/devices/d/telemetry",
        )
        load = Load(Ledger(tmp_path / "ledger"), way, window=50, rate=1000)
        load.start()
        await eventually(lambda: len(load.ledger.acknowledged) > 500)
        ballast = fill(disk)
        await asyncio.sleep(8)
        while_full = len(load.ledger.acknowledged)
        ballast.unlink()
        await asyncio.to_thread(server.kill)  # a store that met a full disk is opened again
        await asyncio.to_thread(server.start)
        await eventually(lambda: len(load.ledger.acknowledged) > while_full + 500, timeout_s=60)
        load.leave_off.set()
        await asyncio.to_thread(load.join, 60)
        async with platform_client(server, "telemetry") as client:

            async def all_of() -> bool:
                return (await stream_state(client, "MESSAGES")).last >= len(load.ledger.acknowledged)

            await eventually(all_of, timeout_s=60)
            rows: list[int] = []
            pull = Pull(client, "MESSAGES", start=1)
            while batch := await pull.next_batch(4000, timeout_s=3):
                rows += [int(entry.data.split(b":")[1].rstrip(b"}")) for entry in batch]
        print(f"{while_full} acknowledged when it was full, {len(load.ledger.acknowledged)} in all")  # noqa: T201
        assert judge(load.ledger, rows) == Verdict(0, 0, 0, 0)
    finally:
        await asyncio.to_thread(server.kill)


async def test_at_postgresql_the_log_keeps_what_cannot_be_stored(
    disk: Path, tmp_path: Path, own_nats: NatsServer, run_service: RunService
) -> None:
    server = Postgres(
        disk / "postgres",
        free_port(),
        Secrets(tmp_path / "pg"),
        log=tmp_path / "postgres.log",
        settings=DATABASE_SETTINGS,
    )
    await asyncio.to_thread(server.start)
    try:
        server.create_database("full")
        urls = server.urls("full")
        run_module("services.telemetry.migrate", environment.migrate(urls))
        telemetry = run_service("telemetry", own_nats, urls)
        async with world(own_nats, urls) as there:
            org = organization()
            await there.stored(await there.fill(org, 500))
            ballast = fill(disk)
            last = await there.fill(org, 20_000)
            await asyncio.sleep(8)
            ballast.unlink()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        async with world(own_nats, urls) as there:
            await there.stored(last, timeout_s=90)
            assert await there.counts(org) == (20_500, 20_500, 20_500)
        telemetry.process.stop()
    finally:
        await asyncio.to_thread(server.stop)
