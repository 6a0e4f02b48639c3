"""A child is stopped in order, restarted when it crashes, and never outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import process
from deploy.local.process import Process, ProcessFailed
from deploy.local.stack import ROOT
from deploy.local.watch import DELAY_MAX_S, FIRST_DELAY_S, Watch
from tests.support.eventually import eventually_now

Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs Python code as a child; it is stopped afterwards."""
    children: list[Process] = []

    def start(code: str) -> Process:
        children.append(Process("child", [sys.executable, "-c", code], log=tmp_path / "child.log"))
        children[-1].start()
        return children[-1]

    yield start
    for child in children:
        child.stop()


def test_a_child_that_ignores_the_request_to_end_is_killed(run: Run) -> None:
    child = run(
        "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    eventually_now(lambda: "deaf" in child.log_tail())
    child.stop(timeout_s=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_children_of_a_child_end_with_it(run: Run) -> None:
    code = "import subprocess,time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    child = run(code)
    grandchild = int(eventually_now(child.log_tail))
    child.kill()
    eventually_now(lambda: ended(grandchild), timeout_s=30)


def test_a_child_that_ends_too_early_is_reported_with_its_last_words(run: Run) -> None:
    child = run("raise SystemExit('no such port')")
    with pytest.raises(ProcessFailed, match="no such port"):
        child.await_ready(lambda: False, timeout_s=10)


def test_a_log_that_grows_too_large_is_set_aside_while_the_child_writes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES_MAX", 1000)
    child = run("import time\nwhile True: print('x' * 100, flush=True); time.sleep(0.01)")
    eventually_now(lambda: child.log.exists() and child.log.stat().st_size > 1000)
    child.bound_log()
    assert child.log.stat().st_size < 1000
    eventually_now(lambda: 0 < child.log.stat().st_size < 1000)
    assert child.log.with_name("child.log.1").stat().st_size > 1000


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_killed_supervisor_leaves_no_child_behind(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from deploy.local.process import Process
ready = Path({str(tmp_path / "ready")!r})
command = ["sh", "-c", f"touch {{ready}}; exec sleep 60"]
child = Process("child", command, log=Path({str(tmp_path / "child.log")!r}))
child.start()
while not ready.exists():  # bound to its parent's life from before its own command begins
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert psutil.pid_exists(child)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    supervisor.stdout.close()
    eventually_now(lambda: ended(child), timeout_s=30)


def ended(pid: int) -> bool:
    """Also where nobody has fetched its exit code yet: that is up to the machine's first process."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_crashed_child_is_started_again_after_a_delay_that_doubles(run: Run) -> None:
    child = run("raise SystemExit(3)")
    said: list[str] = []
    watch = Watch({"child": (child, child.start)}, said.append)
    now = 0.0
    for expected in (FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S):
        child.wait(10)
        watch.look(now)
        assert said[-1].startswith(f"child ended with code 3, again in {expected:g} s")
        watch.look(now + expected * 0.99)
        assert not said[-1].endswith("restarted")
        now += expected
        watch.look(now)
        assert said[-1] == "child restarted"


def test_the_delay_is_bounded(run: Run) -> None:
    child = run("raise SystemExit(3)")
    said: list[str] = []
    watch = Watch({"child": (child, child.start)}, said.append)
    now = 0.0
    for _ in range(8):
        child.wait(10)
        watch.look(now)
        now += DELAY_MAX_S
        watch.look(now)
    child.wait(10)
    watch.look(now)
    assert f"again in {DELAY_MAX_S:g} s" in said[-1]


def test_stopping_what_never_ran_is_harmless(tmp_path: Path) -> None:
    began = time.monotonic()
    Process("nothing", ["true"], log=tmp_path / "log").stop()
    assert time.monotonic() - began < 1
