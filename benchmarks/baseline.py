"""Runs the direct script (direct.py) with a Mosquitto of its own, under the same flood as the platform."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import flood
from benchmarks.cpu import Meter
from benchmarks.measured import Measured
from tests.support.mosquitto import Mosquitto

PREFIX = "org_a/devices"
# It is the fast one of this comparison: no persistence, no log line per message.
SETTINGS = {"persistence": "false", "autosave_on_changes": "false", "log_type": "error"}


def run(database_url: str, postgres_pid: int, messages: int, workers: int, timeout_s: float) -> Measured:
    """`messages` through Mosquitto and the script into two tables of this database."""
    with tempfile.TemporaryDirectory(prefix="hybridmq-direct-") as folder:
        Path(folder).chmod(0o755)
        mosquitto = Mosquitto(Path(folder), settings=SETTINGS)
        mosquitto.start()
        script = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.direct",
                str(mosquitto.port),
                database_url,
                "org_a",
                str(messages),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        )
        try:
            assert script.stdout
            if script.stdout.readline() != "ready\n":
                raise RuntimeError("the direct script did not start")
            meter = Meter({"mosquitto": mosquitto.process.pid, "postgres": postgres_pid})
            floods = [
                flood.Flood(
                    host="127.0.0.1",
                    port=mosquitto.port,
                    topic_prefix=PREFIX,
                    client_id=f"flood-{worker}",
                    worker=worker,
                    messages=messages // workers,
                    seconds=timeout_s,
                )
                for worker in range(1, workers + 1)
            ]
            began = time.monotonic()
            reports = flood.finish(flood.start(floods), timeout_s)
            result = json.loads(_line(script, timeout_s - (time.monotonic() - began)))
            cpu = {**meter.read(), "script": result["cpu_seconds"]}
        finally:
            if script.poll() is None:
                script.kill()
            script.wait()
            mosquitto.stop()
    cpu["generator"] = sum(report.cpu_seconds for report in reports)
    acknowledged = sum(report.acknowledged for report in reports)
    stored = int(result["messages"])
    return Measured(
        name="direct script, no log",
        messages=stored,
        points=3 * stored,
        seconds=result["seconds"],
        cpu_seconds=cpu,
        faults={"lost": acknowledged - stored},
    )


def _line(script: subprocess.Popen[str], timeout_s: float) -> str:
    """The script's last output; it prints nothing in between."""
    out, _ = script.communicate(timeout=max(1, timeout_s))
    if script.returncode:
        raise RuntimeError(f"the direct script ended with code {script.returncode}")
    return out
