"""`make run`: the platform until Ctrl-C."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from deploy.local.process import ProcessFailed
from deploy.local.stack import ROOT, WANTED_PORTS, Addresses, AlreadyRunningError, Stack
from deploy.local.tls import CertificateMissingError

LOOK_EVERY_S = 0.2


def main() -> int:
    """Starts everything, watches, stops everything; the exit code."""
    state = Path(os.environ.get("HYBRIDMQ_STATE", ROOT / ".local")).resolve()
    wanted = {
        name: int(os.environ.get(f"HYBRIDMQ_{name.upper()}_PORT", port))
        for name, port in WANTED_PORTS.items()
    }
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    print(f"Starting HybridMQ in {state}", flush=True)
    began = time.monotonic()
    stack = None
    try:
        stack = Stack(
            state,
            wanted=wanted,
            durable=os.environ.get("HYBRIDMQ_PROFILE") == "durable",
            say=_say,
            hosted_broker=os.environ.get("HOSTED_BROKER") or "nats",
        )
        stack.start()
        _say(f"Ready after {time.monotonic() - began:.1f} s.\n\n{_table(stack.addresses, stack.run_file)}\n")
        while True:
            time.sleep(LOOK_EVERY_S)
            stack.watch()
    except KeyboardInterrupt:
        _say("Stopping")
        return 0
    except (ProcessFailed, AlreadyRunningError, CertificateMissingError, TimeoutError) as failure:
        _say(f"Cannot run: {failure}")
        return 1
    finally:
        if stack is not None:
            stack.stop()
            _say("Stopped")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Once: a second Ctrl-C must not interrupt the stopping.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


def _table(addresses: Addresses, run_file: Path) -> str:
    rows = {
        "Console": f"{addresses.gateway}/console",
        "HTTP API": f"{addresses.gateway}/v1",
        "API docs": f"{addresses.gateway}/docs",
        "MQTT": addresses.mqtt,
        "MQTT over WebSocket": addresses.mqtt_ws,
        "MQTT over TLS": addresses.mqtts,
        "MQTT over WSS": addresses.mqtt_wss,
        **({"CA for both": addresses.mqtt_ca} if addresses.mqtt_ca else {}),
        "NATS": addresses.nats,
        "Database": addresses.database,
        "Admin key": addresses.admin_key,
    }
    lines = [f"  {name:<20} {value}" for name, value in rows.items()]
    return "\n".join([*lines, "", f"  The same in {run_file}. Ctrl-C stops everything."])


if __name__ == "__main__":
    sys.exit(main())
