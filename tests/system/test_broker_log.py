"""In a cluster each server's log has a reader beside it: what the server forbade a device reaches its tenant, once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest

from deploy.local.process import Process
from deploy.local.stack import Stack
from tests.support.clients import platform_client
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant

pytestmark = pytest.mark.system
START = "[7] 2026/11/22 06:00:00.000001 [INF] Starting nats-server"


def line(device: Device, topic: str) -> str:
    subject = topic.replace("/", ".")
    client = f'10.0.0.7:50000 - mid:74 - "{device.client_id}"'
    return f'[7] 2026/11/22 06:00:01.000001 [ERR] {client} - Publish Violation - Subject "{subject}"'


class Reader:
    """`python -m services.credentials.broker_log`, as it runs beside a server."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.log, self.printed = folder / "nats.log", folder / "printed"
        env = {
            **os.environ,
            "NATS_URL": stack.nats.url,
            "NATS_SEED": stack.nats.seeds.platform["brokerlog"],
            "BROKER_LOG": str(self.log),
            "BROKER_LOG_PLACE": str(folder / "place"),
        }
        command = [sys.executable, "-m", "services.credentials.broker_log"]
        self.process = Process("broker log", command, log=self.printed, env=env)

    def write(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"{each}\n" for each in lines)

    def shown(self, text: str) -> int:
        return self.printed.read_text().count(text)


def test_what_a_server_forbade_is_told_and_shown_once_through_restarts(
    stack: Stack, new_tenant: Callable[[str], Tenant], tmp_path: Path
) -> None:
    tenant, reader = new_tenant("Curious"), Reader(stack, tmp_path)
    device = tenant.issue("d1")
    topics = [f"org_elsewhere/devices/{name}/telemetry" for name in ("a", "b", "c")]

    def told() -> list[str]:
        items = tenant.get("/activity", kind="device.refused")["items"]
        return sorted(item["details"]["topic"] for item in items)

    reader.process.start()  # before the server: its log is not there yet
    try:
        reader.write(START, line(device, topics[0]))
        eventually_now(lambda: told() == topics[:1])
        eventually_now((tmp_path / "place").exists)
        reader.process.stop()
        reader.write(line(device, topics[1]))  # while nobody reads
        reader.process.start()
        eventually_now(lambda: told() == topics[:2])
        reader.log.rename(tmp_path / "nats.log.old")  # as the server does it at its size
        reader.write(line(device, topics[2]))
        eventually_now(lambda: told() == topics)
    finally:
        reader.process.stop()
    assert reader.shown(START) == 1, "the server's log is where one looks for it"
    assert all(reader.shown(topic.replace("/", ".")) == 1 for topic in topics)


@pytest.mark.parametrize(
    "subject", ["command.credentials.revoke-credential", "registry.x.credential.y", "activity.x.device"]
)
def test_a_reader_of_a_log_may_say_nothing_else(stack: Stack, subject: str) -> None:
    refused: list[str] = []

    async def tried() -> None:
        async with platform_client(stack.nats, "brokerlog") as client:
            with pytest.raises((nats.errors.Error, TimeoutError)):
                await client.request(subject, b"{}", timeout=1)
            refused.append(str(client.last_error))

    asyncio.run(tried())
    assert "permissions violation" in refused[0].lower()
