"""docs/how-to/export-readings.md, run as it is written."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/export-readings.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[SCRIPT] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SENT = [
    {"ts": "2026-03-01T10:00:00Z", "temperature": 20, "state": "=open"},
    {"ts": "2026-03-01T10:05:00Z", "temperature": 21},
]


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Callable[[list[str]], Path]:
    tenant = Tenant(stack)
    sent = tenant.http.post("/v1/ingest", json={"topic": "devices/d1/telemetry", "payload": SENT})
    assert sent.status_code == 202, sent.text
    env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key}
    eventually_now(lambda: len(tenant.get("/telemetry")["items"]) == 2)

    def run(command: list[str]) -> Path:
        subprocess.run(command, env=env, cwd=tmp_path, timeout=60, check=True)
        return tmp_path

    return run


def test_the_commands_of_the_page_write_its_files(run: Callable[[list[str]], Path]) -> None:
    for command in COMMANDS:
        folder = run(["bash", "-c", command])
    long = list(csv.DictReader((folder / "readings.csv").open(newline="")))
    assert [(row["metric"], row["value"]) for row in long] == [
        ("temperature", "20"),
        ("state", "'=open"),
        ("temperature", "21"),
    ]
    wide = list(csv.DictReader((folder / "wide.csv").open(newline="")))
    assert [(row["metrics.temperature"], row["metrics.state"]) for row in wide] == [
        ("20", "'=open"),
        ("21", ""),
    ]
    assert (folder / "activity.ndjson").exists()


def test_the_script_of_the_page_writes_every_reading(run: Callable[[list[str]], Path]) -> None:
    folder = run([sys.executable, "-c", SCRIPT])
    found = [json.loads(line) for line in (folder / "readings.ndjson").read_text().splitlines()]
    assert [row["value"] for row in found] == [20, "=open", 21]
