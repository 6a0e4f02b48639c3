"""A backup of the logs, restored by the guide's lines into a server that lost all: what comes next is taken, too."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime
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
from deploy.local.stack import ROOT
from runtime import jetstream
from runtime.backup import begin, finish, moments, options, run, saved_in
from runtime.pull import Pull
from runtime.settings import BusSettings
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.service import run_module

ORGANIZATION = "org_abcdefgh12345678"


GUIDE = (ROOT / "docs/guides/disaster-recovery.md").read_text()
SAVE = re.findall(r"^python -m runtime.backup (save .*?)(?: +#.*)?$", GUIDE, re.MULTILINE)
RESTORE = ["restore /backup/hourly", "restore /backup/daily"]


async def backup(server: NatsServer, command: str, folder: Path) -> None:
    """A command line of the guide, with `folder` for /backup."""
    asked = options(shlex.split(command.replace("/backup", str(folder))))
    asked.folder.mkdir(parents=True, exist_ok=True)
    settings = BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform["backup"]))
    await run(settings, asked.action, asked.folder, asked.streams, asked.keep)


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
    hourly, daily = SAVE
    await backup(own_nats, daily, tmp_path)
    async with platform_client(own_nats, "credentials") as client:
        await jetstream.request(client, f"registry.{ORGANIZATION}.credential.later", b"event")
    async with platform_client(own_nats, "provision") as client:
        states = {stream.name: await state(client, stream.name) for stream in STREAMS}
    await backup(own_nats, hourly, tmp_path)

    own_nats.kill()
    shutil.rmtree(own_nats._store)
    own_nats.start()
    for command in RESTORE:
        await backup(own_nats, command, tmp_path)
    run_module("runtime.provision", environment.provision(own_nats))

    async with platform_client(own_nats, "provision") as client:
        assert {stream.name: await state(client, stream.name) for stream in STREAMS} == states
    assert await messages(own_nats, 5) == before
    await publish(own_nats, 6, 7, 8)
    after = await messages(own_nats, 8)
    assert [data for *_, data in after] == [b"%d" % number for number in range(1, 9)]

    for command in RESTORE:
        await backup(own_nats, command, tmp_path)  # a second time: what is there stays
    assert await messages(own_nats, 8) == after


def test_the_guide_restores_what_it_saves() -> None:
    assert all(f"`{line}`" in GUIDE or f"`python -m runtime.backup {line}`" in GUIDE for line in RESTORE)
    assert {options(shlex.split(line)).folder for line in SAVE} == {
        options(shlex.split(line)).folder for line in RESTORE
    }


def test_a_moment_counts_when_it_is_whole_and_no_more_stay_than_are_wanted(tmp_path: Path) -> None:
    crashed = begin(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    (crashed / "REGISTRY.snapshot").write_bytes(b"half")
    assert saved_in(tmp_path) == tmp_path, "nothing is whole yet"
    for hour in range(3):
        begun = begin(tmp_path, datetime(2026, 1, 2, hour, tzinfo=UTC))
        assert not crashed.exists()
        (begun / "REGISTRY.snapshot").write_bytes(b"whole")
        assert begun not in moments(tmp_path)
        finish(begun, keep=2)
    assert [each.name for each in moments(tmp_path)] == ["20260102T010000Z", "20260102T020000Z"]
    assert saved_in(tmp_path).name == "20260102T020000Z"
    assert saved_in(tmp_path / "20260102T010000Z").name == "20260102T010000Z", "an older one, by its name"


async def test_a_folder_without_a_backup_is_none(own_nats: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no backup"):
        await backup(own_nats, "restore /backup", tmp_path)


async def test_only_the_backups_user_may_read_a_stream_whole(own_nats: NatsServer) -> None:
    asked = {"deliver_subject": "_INBOX.telemetry.x", "no_consumers": True}
    async with platform_client(own_nats, "telemetry") as client:
        with pytest.raises(Unavailable):
            await jetstream.request(client, "$JS.API.STREAM.SNAPSHOT.REGISTRY", asked, timeout_s=1)
