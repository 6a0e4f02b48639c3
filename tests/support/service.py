"""One service as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.process import Process
from deploy.local.stack import ROOT, says_ready


class Service:
    """`python -m services.<name>`; `start` after `process.kill()` brings it back."""

    def __init__(self, name: str, env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)
        self.port = int(env.get("HTTP_PORT", env["HEALTH_PORT"]))
        self.health_url = f"http://{LOOPBACK}:{env['HEALTH_PORT']}"
        self.process = Process(
            name, [sys.executable, "-m", f"services.{name}"], log=log, env={**os.environ, **env}, cwd=ROOT
        )

    @property
    def url(self) -> str:
        """Where it serves: the gateway its API, the others their health."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Returns when it says that it is ready."""
        self.process.start()
        self.process.await_ready(lambda: says_ready(self.port), timeout_s=60)


def stop_together(services: Iterable[Service]) -> None:
    """In order, as SIGTERM asks; returns when the last one has ended."""
    for service in services:
        service.process.signal(signal.SIGTERM)
    for service in services:
        service.process.stop()


def run_module(module: str, env: Mapping[str, str]) -> None:
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
