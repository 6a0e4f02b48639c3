"""A child process that is stopped in order, and never outlives us."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

LOG_BYTES_MAX = 20 * 1024 * 1024
"""A log above this is set aside: two files of it bound the disk."""

# The kernel's parent-death signal fires when the *thread* that forked ends. One thread that lives as long as
# this process forks them all, so that a child started from a worker thread is not killed with that thread.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ProcessFailed(RuntimeError):
    """A process ended that should run; carries the end of its log."""


class Child(Protocol):
    """What is needed of a running child: `subprocess.Popen`, or its like."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...


class Launch(NamedTuple):
    """What is started, and how."""

    command: Sequence[str]
    log: Path  # stdout and stderr are appended to it
    env: Mapping[str, str] | None
    cwd: Path | None
    orphan_signal: str  # what the kernel sends to it when we end
    prefix: Sequence[str]  # a program that runs it, and that program's arguments


def popen(wanted: Launch) -> Child:
    """In a session of its own, so that the terminal's Ctrl-C reaches only us."""
    with wanted.log.open("ab") as out:
        return _spawner.submit(
            subprocess.Popen,
            [*wanted.prefix, *_dies_with_parent(wanted.orphan_signal), *wanted.command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=wanted.env,
            cwd=wanted.cwd,
            start_new_session=True,
        ).result()


launch: Callable[[Launch], Child] = popen
"""How every `Process` starts; tests have another."""


class Process:
    """One named child with a log file; `start` and `stop` may alternate any number of times."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: str = "KILL",
        prefix: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.env = dict(env) if env is not None else None
        self._command, self._prefix, self._cwd = command, prefix, cwd
        self._stop_signal, self._orphan_signal = stop_signal, orphan_signal
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The child's id; raises when it was never started."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before its first start."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Nothing, where it runs already."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._child = launch(
            Launch(self._command, self.log, self.env, self._cwd, self._orphan_signal, self._prefix)
        )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the child if it runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as a crash would: the child gets no chance to tidy up."""
        self.signal(signal.SIGKILL)
        self._reap()

    def stop(self, *, timeout_s: float = 10) -> None:
        """Asks the child to end, insists after `timeout_s`, and leaves nothing of its group behind."""
        if self._child is None:
            return
        self.signal(self._stop_signal)
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
        self._reap()

    def wait(self, timeout_s: float) -> int:
        """The exit code; raises TimeoutExpired."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._child.wait(timeout_s)

    def require_running(self) -> None:
        """Raises with the end of the log when the child has ended."""
        if not self.running:
            raise ProcessFailed(
                f"{self.name} ended with code {self.exit_code}; {self.log}:\n{self.log_tail()}"
            )

    def await_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Returns once `ready()`; raises when the child ends before, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.require_running()
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.name} not ready after {timeout_s:g} s; {self.log}:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def rotate_log(self) -> None:
        """Sets the last run's log aside; for a child that does not run."""
        if self.log.exists():
            self.log.replace(self._old_log)

    def bound_log(self) -> None:
        """Keeps a running child's log below `LOG_BYTES_MAX`."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            shutil.copyfile(self.log, self._old_log)
            os.truncate(self.log, 0)  # the child appends, so its next line is the file's first

    @property
    def _old_log(self) -> Path:
        return self.log.with_name(f"{self.log.name}.1")

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 16_384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _reap(self) -> None:
        if self._child is None:
            return
        self._child.wait()
        with contextlib.suppress(ProcessLookupError):  # nothing of the group is left: what we want
            os.killpg(self._child.pid, signal.SIGKILL)


def _dies_with_parent(orphan_signal: str) -> list[str]:
    """setpriv (util-linux) asks the kernel for a signal at our death; elsewhere a kill -9 leaves children."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", orphan_signal, "--"] if setpriv else []
