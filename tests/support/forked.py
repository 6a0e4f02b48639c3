"""Services as forks of a process that has imported them already: see `tests.support.template`."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from deploy.local.process import Child, Launch, popen
from deploy.local.stack import ROOT


class Template:
    """One module's; its children end with it, and it ends with us."""

    def __init__(self, module: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.template", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Forked:
    """A child of a template, with what `Process` needs of a `Popen`."""

    def __init__(self, template: Template, pid: int) -> None:
        self.pid = pid
        self._template = template
        self._code: int | None = None
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._template.ask(poll=self.pid)["code"]
            if self._code is not None:
                os.close(self._end)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0)
            select.select([self._end], [], [], left)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Templates:
    """By module, each started when its first process is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[str, Template] = {}

    def launch(self, wanted: Launch) -> Child:
        """In place of `popen`: `python -m` of a module of ours is a fork, everything else is started as ever."""
        if wanted.prefix or list(wanted.command[:2]) != [sys.executable, "-m"]:
            return popen(wanted)
        with self._lock:
            module, *arguments = wanted.command[2:]
            if module not in self._started:
                self._started[module] = Template(module)
            template = self._started[module]
        answer = template.ask(
            arguments=arguments,
            env={**(wanted.env or os.environ)},
            cwd=str(wanted.cwd or Path.cwd()),
            log=str(wanted.log),
        )
        return Forked(template, answer["pid"])

    def close(self) -> None:
        for template in self._started.values():
            template.close()
