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

LOG_BYTES_MAX = 20 * 1024 * 1024
"""A log above this is set aside: two files of it bound the disk."""

# The kernel's parent-death signal fires when the *thread* that forked ends. One thread that lives as long as
# this process forks them all, so that a child started from a worker thread is not killed with that thread.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ProcessFailed(RuntimeError):
    """A process ended that should run; carries the end of its log."""


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
        self._command = [*prefix, *_dies_with_parent(orphan_signal), *command]
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

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
        """Starts the child in a session of its own, so that the terminal's Ctrl-C reaches only us."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._child = _spawner.submit(
                subprocess.Popen,
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self._cwd,
                start_new_session=True,
            ).result()

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
