"""docs/guides/live-stream.md: its curl and its JavaScript hear what is sent."""

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import ROOT, Stack

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/guides/live-stream.md").read_text()
(CURL,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
(SCRIPT,) = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
NODE = ROOT / ".venv/bin/node"


def test_the_commands_of_the_page_hear_what_is_sent(stack: Stack, tmp_path: Path) -> None:
    admin = json.loads(stack.run_file.read_text())["admin_key"]
    with httpx.Client(base_url=stack.addresses.gateway, timeout=20) as http:
        made = http.post(
            "/v1/organizations", json={"name": "Live"}, headers={"Authorization": f"Bearer {admin}"}
        ).json()
        http.headers["Authorization"] = f"Bearer {made['api_key']['secret']}"
        script = tmp_path / "listen.mjs"
        script.write_text(SCRIPT)
        env = {"GATEWAY": stack.addresses.gateway, "KEY": made["api_key"]["secret"]}
        assert "event: readings" in heard(http, ["bash", "-c", f"{CURL.strip()} | head -n 8"], env)
        assert heard(http, [str(NODE), str(script)], env) == "message d7\n"


def heard(http: httpx.Client, command: Sequence[str], env: dict[str, str]) -> str:
    """What it printed, while a device sends; it ends by itself."""
    with subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True) as listening:
        deadline = time.monotonic() + 60
        while listening.poll() is None and time.monotonic() < deadline:
            sent = http.post("/v1/ingest", json={"topic": "devices/d7/telemetry", "payload": {"t": 21.5}})
            assert sent.status_code == 202, sent.text
            time.sleep(0.2)
        listening.kill()
        assert listening.stdout is not None
        return listening.stdout.read()
