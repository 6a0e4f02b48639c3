"""NATS and PostgreSQL of a run's own, provisioned, with tables; gone with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.local import environment
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.secrets import Secrets


class Servers(NamedTuple):
    nats: NatsServer
    postgres: Postgres
    secrets: Secrets


@contextmanager
def started(database: str | None = None) -> Iterator[Servers]:
    """`database` is made for it where it is not to be the usual one."""
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root
        secrets = Secrets(folder / "secrets")
        postgres = Postgres(folder / "postgres", free_port(), secrets)
        ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
        nats = NatsServer(folder / "nats", ports, secrets)
        postgres.start()
        nats.start()
        try:
            if database is not None:
                postgres.create_database(database)
            urls = postgres.urls() if database is None else postgres.urls(database)
            for module, env in (
                ("runtime.provision", environment.provision(nats)),
                ("services.telemetry.migrate", environment.migrate(urls)),
            ):
                command = [sys.executable, "-m", module]
                subprocess.run(command, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
            yield Servers(nats, postgres, secrets)
        finally:
            nats.stop()
            postgres.stop()
