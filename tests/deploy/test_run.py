"""`make run`: from nothing to a running platform, and back to nothing."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.stack import ROOT, WANTED_PORTS
from tests.support.eventually import eventually_now

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(480)]

START_TIMEOUT_S = 120
ANY_PORT = {f"HYBRIDMQ_{name.upper()}_PORT": "0" for name in WANTED_PORTS}


class Run:
    """One `python -m deploy.local`."""

    def __init__(self, state: Path, **env: str) -> None:
        self.state = state
        self.output = state.with_name(f"{state.name}.out")
        self.output.touch()
        self._said_before = self.output.stat().st_size
        with self.output.open("ab") as out:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "deploy.local"],
                cwd=ROOT,
                env={**os.environ, **ANY_PORT, "HYBRIDMQ_STATE": str(state), **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def ready(self) -> "Run":
        eventually_now(self._ready, timeout_s=START_TIMEOUT_S, every_s=0.1)
        return self

    @property
    def addresses(self) -> dict[str, str]:
        return dict(json.loads((self.state / "run.json").read_text()))

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.pid).children(recursive=True)

    def process(self, module: str) -> psutil.Process:
        return next(each for each in self.processes() if each.cmdline()[-2:] == ["-m", module])

    def said(self) -> str:
        return self.output.read_bytes()[self._said_before :].decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.supervisor.send_signal(number)
        return self.supervisor.wait(60)

    def _ready(self) -> bool:
        assert self.supervisor.poll() is None, self.said()
        return "Ready after" in self.said()


StartRun = Callable[..., Run]


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[StartRun]:
    """Starts `make run` in a state folder of this test's."""
    runs: list[Run] = []

    def start(**env: str) -> Run:
        runs.append(Run(tmp_path / "state", **env))
        return runs[-1]

    yield start
    for run in runs:
        if run.supervisor.poll() is None:
            run.end()


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, taken_port: int) -> Iterator[Run]:
    """One `make run` for the tests that do not end it; its gateway's wanted port is taken."""
    run = Run(tmp_path_factory.mktemp("run") / "state", HYBRIDMQ_GATEWAY_PORT=str(taken_port))
    yield run.ready()
    run.end()


def lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def admin(addresses: dict[str, str], method: str, path: str, body: object = None) -> Any:
    request = urllib.request.Request(
        f"{addresses['gateway']}/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {addresses['admin_key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_a_second_run_continues_with_the_data_of_the_first(start_run: StartRun) -> None:
    first = start_run().ready()
    made = admin(first.addresses, "POST", "/organizations", {"name": "kept"})
    key = first.addresses["admin_key"]
    assert stat.S_IMODE((first.state / "run.json").stat().st_mode) == 0o600
    assert set(first.addresses) >= {"gateway", "mqtt", "mqtt_ws", "nats", "database", "admin_key"}
    assert first.end(signal.SIGINT) == 0
    second = start_run().ready()
    assert second.addresses["admin_key"] == key
    names = {each["id"]: each["name"] for each in admin(second.addresses, "GET", "/organizations")["items"]}
    assert names[made["id"]] == "kept"


def test_sigterm_leaves_no_process_and_no_run_file(start_run: StartRun) -> None:
    run = start_run().ready()
    processes = run.processes()
    assert len(processes) > 6  # the services, the servers and PostgreSQL's own
    assert run.end() == 0
    assert [each for each in processes if lives(each)] == []
    assert not (run.state / "run.json").exists()


def test_an_interrupted_start_leaves_no_process(start_run: StartRun) -> None:
    run = start_run()
    eventually_now(lambda: "nats-server ready" in run.said(), timeout_s=START_TIMEOUT_S)
    processes = run.processes()
    assert run.end(signal.SIGINT) == 0
    assert [each for each in processes if lives(each)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_kill_9_leaves_no_process_and_the_next_run_recovers(start_run: StartRun) -> None:
    run = start_run().ready()
    processes = run.processes()
    run.supervisor.kill()
    run.supervisor.wait()
    eventually_now(lambda: not any(map(lives, processes)), timeout_s=30)
    assert start_run().ready().end() == 0


def test_a_taken_port_is_replaced_and_said_so(running: Run, taken_port: int) -> None:
    assert not running.addresses["gateway"].endswith(f":{taken_port}")
    assert f"port {taken_port} (gateway) is taken" in running.said()


def test_nothing_listens_beyond_loopback(running: Run) -> None:
    listening = [
        connection.laddr.ip
        for each in running.processes()
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {LOOPBACK}


def test_a_second_platform_in_the_same_folder_is_refused(running: Run) -> None:
    other = Run(running.state)
    assert other.supervisor.wait(30) == 1
    assert "another platform runs in" in other.said()
    assert (running.state / "run.json").exists()


def test_a_crashed_service_is_restarted_and_said_so(running: Run) -> None:
    old = running.process("services.telemetry")
    old.kill()
    eventually_now(lambda: "telemetry restarted" in running.said())
    assert running.process("services.telemetry").pid != old.pid
