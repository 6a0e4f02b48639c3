"""docs/how-to/ask-for-readings.md, run as it is written: its commands give what it shows."""

import json
import os
import re
import subprocess
from typing import Any

import httpx
import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/ask-for-readings.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
ANSWERS = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
SENT = [
    {"ts": "2026-03-01T10:00:00Z", "temperature": 20},
    {"ts": "2026-03-01T10:05:00Z", "temperature": 21, "state": "open"},
    {"ts": "2026-03-01T10:40:00Z", "temperature": 24},
]


def test_the_commands_of_the_page_give_what_it_shows(stack: Stack) -> None:
    gateway = stack.addresses.gateway
    admin = json.loads(stack.run_file.read_text())["admin_key"]
    with httpx.Client(base_url=gateway, timeout=20) as http:
        made = http.post(
            "/v1/organizations", json={"name": "Acme"}, headers={"Authorization": f"Bearer {admin}"}
        ).json()
        key = made["api_key"]["secret"]
        http.headers["Authorization"] = f"Bearer {key}"
        for device, payload in (("d1", SENT), ("d2", {"ts": "2026-03-01T09:00:00Z", "pressure": 1})):
            sent = http.post("/v1/ingest", json={"topic": f"devices/{device}/telemetry", "payload": payload})
            assert sent.status_code == 202, sent.text

    def run(command: str) -> Any:
        env = {**os.environ, "GATEWAY": gateway, "KEY": key}
        done = subprocess.run(
            ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=True
        )
        return json.loads(done.stdout)

    raw, series, latest = COMMANDS
    eventually_now(lambda: len(run(latest)["items"]) == 2)
    found = run(raw)["items"]
    assert [(row["device_id"], row["metrics"]) for row in found] == [
        ("d1", {"temperature": value}) for value in (24, 21, 20)
    ]
    assert len(ANSWERS) == 2
    shown = run(f"{series} ")
    for answer in (shown, ANSWERS[0]):  # metrics stand in the order in which they were first heard of
        answer["items"].sort(key=lambda item: item["metric"])
    assert shown == ANSWERS[0]
    assert [row for row in run(latest)["items"] if row["device_id"] == "d1"] == ANSWERS[1]["items"]
