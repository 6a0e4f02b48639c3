"""One service as a process of its own."""

import os
import sys
from collections.abc import Mapping
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
