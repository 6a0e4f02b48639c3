"""A platform's state folder as its first start leaves it: made once a run of the tests, copied for each server.

A first start (initdb, roles, tables, streams) takes seconds, and every module that kills its servers needs servers
of its own. What a first start does is tested where it is made: tests/deploy, tests/runtime/test_provision.py and
tests/telemetry/test_migrations.py begin with nothing.
"""

import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import environment
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.secrets import Secrets
from tests.support.service import run_module

NATS, POSTGRES, SECRETS = "nats", "postgres", "secrets"

DATABASE_SETTINGS = {
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "fsync": "off",  # processes are killed here, machines are not: what was written outlives a process
}


def prepared(shared: Path) -> Path:
    """The state folder in `shared`, made by whichever worker comes first."""
    state = shared / "prepared"
    with (shared / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not state.exists():
            part = shared / "prepared.part"
            shutil.rmtree(part, ignore_errors=True)  # of a worker that was killed
            with ThreadPoolExecutor() as together:
                for done in [together.submit(make, part) for make in (_streams, _tables)]:
                    done.result()
            part.rename(state)
    return state


def nats_server(folder: Path, *, secrets: Path | None = None, durable: bool = False) -> NatsServer:
    """On free ports; not started."""
    ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
    return NatsServer(folder, ports, Secrets(secrets or folder / SECRETS), durable=durable)


def postgres_server(state: Path) -> Postgres:
    """On a free port; not started."""
    return Postgres(state / POSTGRES, free_port(), Secrets(state / SECRETS), settings=DATABASE_SETTINGS)


def _streams(state: Path) -> None:
    server = nats_server(state / NATS, secrets=state / SECRETS)
    server.start()
    try:
        # Room to spare: the copies share one disk, and a server refuses streams that reserve more than it has.
        half = {"STORAGE_BYTES": str(server.storage_bytes // 2)}
        run_module("runtime.provision", environment.provision(server) | half)
    finally:
        server.stop()


def _tables(state: Path) -> None:
    server = postgres_server(state)
    server.start()
    try:
        run_module("services.telemetry.migrate", environment.migrate(server.urls()))
    finally:
        server.stop()
