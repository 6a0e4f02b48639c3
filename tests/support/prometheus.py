"""A real Prometheus that asks a running platform every second."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Process
from deploy.local.stack import Stack

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed: tests/support/install.sh"
)


def targets(stack: Stack) -> dict[str, str]:
    """Where a stack's services tell their metrics, by job as the manifests name it."""
    found = {
        name: stack.health_url(name).removeprefix("http://")
        for name in ("credentials", "ingest", "telemetry")
    }
    found["gateway"] = stack.addresses.gateway.removeprefix("http://")
    found["relay"] = f"{LOOPBACK}:{stack._secured.health}"
    return found


LABELS = {"namespace": "hybridmq", "app_kubernetes_io_part_of": "hybridmq"}
"""What the Prometheus operator adds to every series of a pod (components/monitoring/scrape.yaml)."""


class Prometheus:
    """Debian's. `targets` are addresses by job; `rules` as a file of Prometheus' has them."""

    def __init__(self, folder: Path, targets: dict[str, str], rules: dict[str, Any] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules or {"groups": []}))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [address], "labels": LABELS}]}
                for name, address in targets.items()
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}/api/v1"
        self.process = Process(
            "prometheus",
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                "--enable-feature=exemplar-storage",
            ],
            log=folder / "prometheus.log",
            stop_signal=signal.SIGTERM,
        )

    def start(self) -> None:
        """Returns when it answers."""
        self.process.start()
        self.process.await_ready(self._ready, timeout_s=60)

    def stop(self) -> None:
        self.process.stop()

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/{path}", params=parameters, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def _ready(self) -> bool:
        try:
            return httpx.get(self.url.replace("/api/v1", "/-/ready"), timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
