"""docs/how-to/see-what-happens-by-time.md, run as it is written."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/see-what-happens-by-time.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_count_what_was_sent(stack: Stack) -> None:
    tenant = Tenant(stack)
    broken = {"payload_base64": "e2Jyb2tlbg=="}
    for payload in ({"payload": {"a": 1, "b": 2}}, {"payload": {"a": 3}}, broken):
        sent = tenant.http.post("/v1/ingest", json={"topic": "devices/d1/telemetry", **payload})
        assert sent.status_code == 202, sent.text
    env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key}

    def run(command: str) -> Any:
        done = subprocess.run(
            ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=True
        )
        found: Any = json.loads(done.stdout)
        return found["now"] if "now" in found else {item["id"]: item["totals"] for item in found["items"]}

    hours, minutes, days, credentials, presence = COMMANDS
    eventually_now(lambda: run(hours)[None]["messages"] == 3)
    assert run(hours)[None]["dead_letters"] == 1
    assert run(minutes)["http"]["messages"] == 3
    assert run(days)["d1"] == {"readings": 3}
    assert run(credentials) == {}
    assert run(presence) == {"devices": 1, "online": 0, "offline": 0, "unknown": 1, "hidden": 0}
