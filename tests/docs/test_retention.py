"""docs/how-to/keep-data-longer-or-shorter.md, run as it is written."""

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
PAGE = (ROOT / "docs/how-to/keep-data-longer-or-shorter.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[ANSWER] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_commands_of_the_page_do_what_it_says(stack: Stack) -> None:
    gateway = stack.addresses.gateway
    admin = json.loads(stack.run_file.read_text())["admin_key"]
    with httpx.Client(base_url=gateway, timeout=20) as http:
        made = http.post(
            "/v1/organizations", json={"name": "Acme"}, headers={"Authorization": f"Bearer {admin}"}
        ).json()
        key = made["api_key"]["secret"]
        http.headers["Authorization"] = f"Bearer {key}"
        body = {"topic": "devices/d1/telemetry", "payload": {"temperature": 20}}
        assert http.post("/v1/ingest", json=body).status_code == 202
        eventually_now(lambda: http.get("/v1/telemetry/latest").json()["items"])

        def run(command: str) -> Any:
            env = {**os.environ, "GATEWAY": gateway, "KEY": key}
            done = subprocess.run(
                ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=True
            )
            return json.loads(done.stdout)

        shown, change, storage = COMMANDS
        # Tests keep readings for a hundred years: the days are those of conftest.py, all else is the page's.
        assert {**run(shown), "raw_days": 30, "minutes_days": 180}.items() >= ANSWER.items()
        wanted = {"raw_days": 7, "minutes_days": 90, "hours_days": None}
        assert run(change) == wanted
        eventually_now(lambda: run(shown).items() >= {**wanted, "chosen": True}.items())
        assert http.get("/v1/telemetry").json()["items"], "what is fresh stays"
        tiers = ["readings", "messages", "minutes", "hours", "days"]
        assert [each["tier"] for each in run(storage)["devices"][0]["items"]] == tiers
        eventually_now(
            lambda: http.get("/v1/activity", params={"kind": "organization.retention-changed"}).json()[
                "items"
            ]
        )
