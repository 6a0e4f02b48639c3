"""nats-server and the credentials service alone, with as many credentials as a benchmark wants."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import SecretStr

from benchmarks.connects import Login
from contracts import secrets_format, subjects
from contracts.credentials import CredentialIssued
from contracts.envelope import Cause
from contracts.organizations import OrganizationCreated
from contracts.streams import REGISTRY
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.process import Process
from deploy.local.secrets import Secrets
from deploy.local.stack import ROOT, says_ready
from runtime.bus import Bus, connect
from runtime.event_log import Append, EventLog
from runtime.settings import ServiceSettings
from services.credentials.hashing import Hashing
from services.credentials.ids import new_id, new_identity
from services.credentials.settings import key_bytes

BATCH = 500  # events of one atomic append; the server takes 1,000
CAUSE = Cause("benchmark", "benchmark")


@dataclass(frozen=True)
class Issued:
    organization: str
    id: str
    device_id: str
    login: Login


class Rig:
    """Started on entering; the service only by `start_service`."""

    def __init__(self, folder: Path) -> None:
        secrets = Secrets(folder / "secrets")
        self.nats = NatsServer(
            folder / "nats", NatsPorts(free_port(), free_port(), free_port(), free_port()), secrets
        )
        ports = ServicePorts(0, {name: free_port() for name in SERVICES})
        self._health = ports.health["credentials"]
        env = environment.services(self.nats, DatabaseUrls("", "", ""), secrets, ports)["credentials"]
        self.hashing = Hashing(key_bytes(SecretStr(env["SECRET_HASH_KEY"])))
        self.service = Process(
            "credentials",
            [sys.executable, "-m", "services.credentials"],
            log=folder / "credentials.log",
            env={**os.environ, "LOG_LEVEL": "WARNING", **env},
            cwd=ROOT,
        )

    def start(self) -> None:
        self.nats.start()
        env = {**os.environ, **environment.provision(self.nats)}
        subprocess.run([sys.executable, "-m", "runtime.provision"], env=env, cwd=ROOT, check=True)

    def stop(self) -> None:
        self.service.stop()
        self.nats.stop()

    def start_service(self) -> float:
        """Seconds from the start of the process until it is ready."""
        began = time.monotonic()
        self.service.start()
        self.service.await_ready(lambda: says_ready(self._health), timeout_s=120)
        return time.monotonic() - began

    @property
    def rss_mib(self) -> float:
        """What the credentials service holds in memory."""
        return float(psutil.Process(self.service.pid).memory_info().rss) / 2**20

    async def bus(self, name: str) -> Bus:
        seed = SecretStr(self.nats.seeds.platform[name])
        return await connect(ServiceSettings(nats_url=self.nats.url, nats_seed=seed), name)

    async def issue(self, count: int) -> list[Issued]:
        """Credentials of one new organization, straight into the log: what is measured comes afterwards."""
        bus = await self.bus("credentials")
        log, now = EventLog(bus.client, REGISTRY.name), datetime.now(UTC)
        organization = new_id("org")
        subject = subjects.registry(organization, "organization", organization)
        await log.append([Append(subject, OrganizationCreated(name="Benchmark"), 0)], cause=CAUSE, now=now)
        issued: list[Issued] = []
        for start in range(0, count, BATCH):
            numbers = range(start, min(count, start + BATCH))
            made = [self._credential(organization, f"d{number}") for number in numbers]
            await log.append([append for _, append in made], cause=CAUSE, now=now)
            issued += [one for one, _ in made]
        await bus.broker.stop()
        return issued

    def _credential(self, organization: str, device_id: str) -> tuple[Issued, Append]:
        id, password, client_id = new_id("cred"), secrets_format.mint("dev"), new_identity().client_id
        event = CredentialIssued(
            name=device_id,
            device_id=device_id,
            client_id=client_id,
            verifier=self.hashing.verifier(password),
            hint=secrets_format.hint(password),
            publish=(f"{organization}/devices/{device_id}/#",),
            subscribe=(f"{organization}/commands/{device_id}/#",),
        )
        issued = Issued(organization, id, device_id, Login(client_id, id, password))
        return issued, Append(subjects.registry(organization, "credential", id), event, 0)


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    made = Rig(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def issue(made: Rig, count: int) -> list[Issued]:
    return asyncio.run(made.issue(count))
