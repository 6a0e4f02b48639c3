"""Real servers for every test: started once a worker, on free ports, gone at the end."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls, Postgres
from deploy.local.secrets import Secrets
from deploy.local.stack import ROOT, Stack
from tests.support.certificates import Certificates, make_certificates
from tests.support.mosquitto import Mosquitto, find_mosquitto
from tests.support.service import Service

MakeNats = Callable[..., NatsServer]
MakeMosquitto = Callable[..., Mosquitto]
RunService = Callable[..., Service]

# Readings of days long past are sent by many tests; what retention does is tested with organizations that choose it.
os.environ.setdefault("SAMPLES_DAYS", "36500")
os.environ.setdefault("MINUTES_DAYS", "36500")

TEST_SETTINGS = {"shared_buffers": "64MB", "max_wal_size": "1GB"}


@pytest.fixture(scope="session")
def make_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeNats]:
    """Starts an empty nats-server with the platform's accounts; each call another."""
    servers: list[NatsServer] = []

    def make(*, durable: bool = False) -> NatsServer:
        folder = tmp_path_factory.mktemp("nats")
        ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
        servers.append(NatsServer(folder, ports, Secrets(folder / "secrets"), durable=durable))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def nats_server(make_nats: MakeNats) -> NatsServer:
    """One nats-server without streams, shared by all tests of the worker."""
    return make_nats()


@pytest.fixture(scope="session")
def provisioned_nats(make_nats: MakeNats) -> NatsServer:
    """One nats-server with every stream and bucket, shared by all tests of the worker."""
    server = make_nats()
    run_module("runtime.provision", environment.provision(server))
    return server


@pytest.fixture(scope="module")
def own_nats(make_nats: MakeNats) -> Iterator[NatsServer]:
    """A provisioned nats-server for one test module, which may kill it."""
    server = make_nats()
    run_module("runtime.provision", environment.provision(server))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL, shared by all tests of the worker."""
    folder = tmp_path_factory.mktemp("postgres")
    server = Postgres(folder, free_port(), Secrets(folder / "secrets"), settings=TEST_SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """The name of a database with all tables and no rows."""
    name = "migrated_template"
    postgres_server.create_database(name)
    run_module("services.telemetry.migrate", environment.migrate(postgres_server.urls(name)))
    return name


@pytest.fixture(scope="module")
def empty_database(postgres_server: Postgres) -> Iterator[DatabaseUrls]:
    """A database without tables, for one test module."""
    name = f"test_{uuid.uuid4().hex}"
    postgres_server.create_database(name)
    yield postgres_server.urls(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def database(postgres_server: Postgres, migrated_template: str) -> Iterator[DatabaseUrls]:
    """A database with all tables and no rows, for one test module."""
    name = f"test_{uuid.uuid4().hex}"
    postgres_server.create_database(name, template=migrated_template)
    yield postgres_server.urls(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def run_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunService]:
    """Runs `python -m services.<name>` against these servers, ready when it returns; ends with the module.

    Keyword arguments are further environment variables.
    """
    folder = tmp_path_factory.mktemp("services")
    secrets = Secrets(folder / "secrets")
    running: list[Service] = []

    def run(name: str, nats: NatsServer, urls: DatabaseUrls | None = None, **extra: str) -> Service:
        ports = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
        urls = urls or DatabaseUrls("unused", "unused", "unused")
        env = environment.services(nats, urls, secrets, ports)[name]
        running.append(Service(name, {**env, **extra}, folder / f"{name}{len(running)}.log"))
        running[-1].start()
        return running[-1]

    yield run
    for service in reversed(running):
        service.process.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server on loopback, a client."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MakeMosquitto]:
    """Starts a Mosquitto whose sessions survive kill -9; takes the parameters of `Mosquitto`."""
    if find_mosquitto() is None:
        pytest.skip("Mosquitto is not installed: run tests/support/install.sh as root")
    brokers: list[Mosquitto] = []

    def make(**parameters: Any) -> Mosquitto:
        brokers.append(Mosquitto(tmp_path / f"mosquitto{len(brokers)}", **parameters))
        brokers[-1].start()
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole platform on free ports, shared by all tests of the worker: each makes tenants of its own."""
    yield from running_stack(tmp_path_factory)


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A platform for one test module, which may kill its parts; nobody restarts what the test kills."""
    yield from running_stack(tmp_path_factory)


def running_stack(folders: pytest.TempPathFactory) -> Iterator[Stack]:
    platform = Stack(folders.mktemp("platform"))
    platform.start()
    yield platform
    platform.stop()


def run_module(module: str, env: dict[str, str]) -> None:
    """Runs `python -m module` to its end with this environment; fails with what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"{module}:\n{done.stdout}{done.stderr}"
