"""Real servers for every test: started once a worker, on free ports, gone at the end.

The servers of a test are, from the cheapest to the dearest:

- `provisioned_nats`, `database`: a nats-server with all streams and a database with all tables; a test makes
  organizations of its own in them;
- `own_nats`: the same for one module, which may kill it; `run_service` runs single services against these;
- `stack`: the whole platform, shared by all tests of the worker;
- `own_stack`: the whole platform for one module, which may kill its parts.

All of them start from one prepared state (tests/support/prepared.py); services are forks of a process that has
imported them (tests/support/template.py).
"""

import gc
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import environment, process
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from deploy.local.postgres import DATABASE, DatabaseUrls, Postgres
from deploy.local.secrets import Secrets
from deploy.local.stack import Stack
from tests.support import prepared
from tests.support.certificates import Certificates, make_certificates
from tests.support.forked import Templates
from tests.support.mosquitto import Mosquitto, find_mosquitto
from tests.support.service import Service, stop_together

MakeNats = Callable[..., NatsServer]
MakeStack = Callable[..., Stack]
MakeMosquitto = Callable[..., Mosquitto]
RunService = Callable[..., Service]

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "hosted",
    "runtime",
    "system",
    "browser",
    "deploy",
    "telemetry",
    "ingest",
    "credentials",
    "docs",
    "gateway",
)
"""Folders, by how long a file of theirs takes: a worker that begins one at the end lets the others wait."""

# Readings of days long past are sent by many tests; what retention does is tested with organizations that choose it.
os.environ.setdefault("SAMPLES_DAYS", "36500")
os.environ.setdefault("MINUTES_DAYS", "36500")


def pytest_configure(config: pytest.Config) -> None:
    templates = Templates()
    process.launch = templates.launch
    config.add_cleanup(templates.close)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why a test had to run once more: that is a defect, whatever came of its second run."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"first failure of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order in which workers take them (`--no-loadscope-reorder`); inside a file nothing moves."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """Six thousand tests and their modules are there to stay: no collection of garbage looks at them again."""
    gc.freeze()


@pytest.fixture(scope="session")
def prepared_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the servers' folders are copied from; one for all workers."""
    base = tmp_path_factory.getbasetemp()
    return prepared.prepared(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def make_nats(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[MakeNats]:
    """Starts a nats-server with the platform's accounts, each call another: empty, or with every stream and bucket."""
    servers: list[NatsServer] = []

    def make(*, provisioned: bool = False, durable: bool = False) -> NatsServer:
        folder = tmp_path_factory.mktemp("nats")
        if provisioned:
            state: Path = request.getfixturevalue("prepared_state")
            shutil.copytree(state / prepared.NATS, folder, dirs_exist_ok=True)
        servers.append(prepared.nats_server(folder, durable=durable))
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
    return make_nats(provisioned=True)


@pytest.fixture(scope="module")
def own_nats(make_nats: MakeNats, module_services: list[Service]) -> Iterator[NatsServer]:
    """A provisioned nats-server for one test module, which may kill it."""
    server = make_nats(provisioned=True)
    yield server
    stop_together(module_services)
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, prepared_state: Path) -> Iterator[Postgres]:
    """One PostgreSQL, shared by all tests of the worker."""
    state = tmp_path_factory.mktemp("database")
    for name in (prepared.POSTGRES, prepared.SECRETS):
        shutil.copytree(prepared_state / name, state / name)
    server = prepared.postgres_server(state)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_template() -> str:
    """The name of a database with all tables and no rows, to which nobody is connected."""
    return DATABASE


@pytest.fixture(scope="module")
def empty_database(postgres_server: Postgres, module_services: list[Service]) -> Iterator[DatabaseUrls]:
    """A database without tables, for one test module."""
    yield from new_database(postgres_server, module_services)


@pytest.fixture(scope="module")
def database(
    postgres_server: Postgres, migrated_template: str, module_services: list[Service]
) -> Iterator[DatabaseUrls]:
    """A database with all tables and no rows, for one test module."""
    yield from new_database(postgres_server, module_services, template=migrated_template)


def new_database(server: Postgres, used_by: list[Service], **template: str) -> Iterator[DatabaseUrls]:
    name = f"test_{uuid.uuid4().hex}"
    server.create_database(name, **template)
    yield server.urls(name)
    stop_together(used_by)
    server.drop_database(name)


@pytest.fixture(scope="module")
def module_services() -> list[Service]:
    """What `run_service` started for this module: it ends before the servers that it uses."""
    return []


@pytest.fixture(scope="module")
def run_service(
    tmp_path_factory: pytest.TempPathFactory, module_services: list[Service]
) -> Iterator[RunService]:
    """Runs `python -m services.<name>` against these servers, ready when it returns; ends with the module.

    Keyword arguments are further environment variables.
    """
    folder = tmp_path_factory.mktemp("services")

    def run(name: str, nats: NatsServer, urls: DatabaseUrls | None = None, **extra: str) -> Service:
        log = folder / f"{name}{len(module_services)}.log"
        module_services.append(service_of(name, nats, urls, log=log, **extra))
        module_services[-1].start()
        return module_services[-1]

    yield run
    stop_together(module_services)


def service_of(
    name: str, nats: NatsServer, urls: DatabaseUrls | None = None, *, log: Path, **extra: str
) -> Service:
    """A service on these servers, with ports of its own and the secrets beside its log; not started."""
    ports = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
    urls = urls or DatabaseUrls("unused", "unused", "unused")
    env = environment.services(nats, urls, Secrets(log.parent / "secrets"), ports)[name]
    return Service(name, {**env, **extra}, log)


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
def make_stack(tmp_path_factory: pytest.TempPathFactory, prepared_state: Path) -> Iterator[MakeStack]:
    """Starts a platform on free ports, each call another; takes the parameters of `Stack`."""
    stacks: list[Stack] = []

    def make(**parameters: Any) -> Stack:
        folder = tmp_path_factory.mktemp("platform")
        shutil.copytree(prepared_state, folder, dirs_exist_ok=True)
        stacks.append(Stack(folder, **parameters))
        stacks[-1].start()
        return stacks[-1]

    yield make
    for platform in stacks:
        platform.stop()


@pytest.fixture(scope="session")
def stack(make_stack: MakeStack) -> Stack:
    """The whole platform on free ports, shared by all tests of the worker: each makes tenants of its own."""
    return make_stack()


@pytest.fixture(scope="module")
def own_stack(make_stack: MakeStack) -> Iterator[Stack]:
    """A platform for one test module, which may kill its parts; nobody restarts what the test kills."""
    platform = make_stack()
    yield platform
    platform.stop()
