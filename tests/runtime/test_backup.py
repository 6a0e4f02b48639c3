"""A backup of the logs, restored into a server that has lost all: nothing is missing, and what comes next is taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from contracts.failures import Unavailable
from contracts.streams import STREAMS
from deploy.local import environment
from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.ports import LOOPBACK
from runtime import jetstream
from runtime.backup import run
from runtime.pull import Pull
from runtime.settings import BusSettings
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.service import run_module

ORGANIZATION = "org_abcdefgh12345678"


async def backup(server: NatsServer, action: str, folder: Path) -> None:
    settings = BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform["backup"]))
    await run(settings, action, folder, [stream.name for stream in STREAMS])


async def publish(server: NatsServer, *numbers: int) -> None:
    """As a device does, QoS 1."""
    async with aiomqtt.Client(
        LOOPBACK,
        server.ports.mqtt,
        username=DEVICES_MQTT_USER,
        password=server.seeds.mqtt_password,
        identifier="platform-backup",
    ) as client:
        for number in numbers:
            await client.publish(f"{ORGANIZATION}/devices/d1/telemetry", str(number), qos=1)


async def messages(server: NatsServer, count: int) -> list[tuple[int, str, bytes, bytes]]:
    """All of MESSAGES, once there are so many."""
    async with platform_client(server, "telemetry") as client:

        async def last() -> bool:
            return (await jetstream.stream_state(client, "MESSAGES")).last >= count

        await eventually(last, timeout_s=60)
        pull = Pull(client, "MESSAGES", start=1)
        found = await pull.next_batch(count, timeout_s=10)
        await pull.close()
    return [(entry.sequence, entry.subject, entry.raw_headers, entry.data) for entry in found]


async def state(client: Client, stream: str) -> dict[str, Any]:
    info = await jetstream.request(client, f"$JS.API.STREAM.INFO.{stream}")
    return {"config": info["config"], "last": info["state"]["last_seq"], "held": info["state"]["messages"]}


async def test_what_was_saved_comes_back_and_what_devices_send_next_is_taken(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    run_module(
        "runtime.provision", environment.provision(own_nats)
    )  # to this server's own room, as behind the restore
    async with platform_client(own_nats, "credentials") as client:
        for number in range(3):
            await jetstream.request(client, f"registry.{ORGANIZATION}.credential.c{number}", b"event")
        await jetstream.request(client, "$KV.SECRETS.one", b"sealed")
    await publish(own_nats, 1, 2, 3, 4, 5)
    before = await messages(own_nats, 5)
    async with platform_client(own_nats, "provision") as client:
        states = {stream.name: await state(client, stream.name) for stream in STREAMS}
    await backup(own_nats, "save", tmp_path)

    own_nats.kill()
    shutil.rmtree(own_nats._store)
    own_nats.start()
    await backup(own_nats, "restore", tmp_path)
    run_module("runtime.provision", environment.provision(own_nats))

    async with platform_client(own_nats, "provision") as client:
        assert {stream.name: await state(client, stream.name) for stream in STREAMS} == states
    assert await messages(own_nats, 5) == before
    await publish(own_nats, 6, 7, 8)
    after = await messages(own_nats, 8)
    assert [data for *_, data in after] == [b"%d" % number for number in range(1, 9)]

    await backup(own_nats, "restore", tmp_path)  # a second time: what is there stays
    assert await messages(own_nats, 8) == after


async def test_only_the_backups_user_may_read_a_stream_whole(own_nats: NatsServer) -> None:
    asked = {"deliver_subject": "_INBOX.telemetry.x", "no_consumers": True}
    async with platform_client(own_nats, "telemetry") as client:
        with pytest.raises(Unavailable):
            await jetstream.request(client, "$JS.API.STREAM.SNAPSHOT.REGISTRY", asked, timeout_s=1)
