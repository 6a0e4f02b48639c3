"""`python -m tests.support.template MODULE`: has imported the module, and forks a process that runs it, when asked.

Imports are most of a service's start (1 to 3 s of CPU), and a whole run of the tests starts hundreds of services. A
forked process has what `python -m MODULE` has: these imports, its own environment, log and session, nothing else.
Orders are lines of JSON on stdin, answers on stdout; it ends with its stdin, and takes its children with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import os
import runpy
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def main(module: str) -> None:
    prepare(module)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if "poll" in order:
            answer = {"code": polled(order["poll"])}
        else:
            pid = os.fork()
            if not pid:
                become(order)
                runpy.run_module(module, run_name="__main__", alter_sys=True)
                return
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def prepare(module: str) -> None:
    spec = importlib.util.find_spec(module)
    entry = f"{module}.__main__" if spec and spec.submodule_search_locations else module
    importlib.import_module(entry)
    del sys.modules[entry]  # the child runs it, as `python -m` does
    gc.collect()
    gc.freeze()


def polled(pid: int) -> int | None:
    """The exit code of a child, as subprocess gives it; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def become(order: dict[str, Any]) -> None:
    """What happens between a fork and an exec elsewhere."""
    template = os.getppid()
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != template:
        os._exit(1)  # it ended before the kernel knew
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv[1:] = order["arguments"]
    gc.unfreeze()


if __name__ == "__main__":
    main(sys.argv[1])
