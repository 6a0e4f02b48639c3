"""The how-to on brokers that do not connect: its commands run as they are written, its table knows every code."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from contracts.failures import CODES
from deploy.local.stack import ROOT, Stack
from services.ingest.findings import NEXT
from tests.support.tenant import Tenant

HOW_TO = (ROOT / "docs/how-to/find-out-why-a-broker-does-not-connect.md").read_text()
TABLE = HOW_TO[HOW_TO.index("| step |") : HOW_TO.index("Words in capitals")]
BEFORE, AFTER = re.findall(r"```sh\n(.*?)```", HOW_TO, re.DOTALL)


def test_the_table_has_every_code_and_no_other() -> None:
    rows = [row.split("|")[2] for row in TABLE.splitlines()[2:] if row.startswith("|")]
    named = {code for cell in rows for code in re.findall(r"`([a-z_.]+)`", cell)}
    assert named == set(NEXT)
    assert named <= set(CODES)


@pytest.mark.system
def test_its_commands_show_the_step_that_fails(stack: Stack) -> None:
    tenant = Tenant(stack)
    try:
        host, port = stack.addresses.mqtt.removeprefix("mqtt://").split(":")
        env = {"GATEWAY": stack.addresses.gateway, "KEY": tenant.key, "MQTT_HOST": host, "MQTT_PORT": port}
        *steps, (name, result) = events(BEFORE, env)
        assert [data["name"] for _, data in steps] == ["dns", "address", "tcp", "mqtt"]
        assert (name, result["ok"]) == ("result", False)
        assert result["steps"][-1]["code"] == "broker.credentials"

        settings = {"host": host, "port": int(port), "username": "plant", "password": "guess"}
        saved = tenant.post("/integrations", {"name": "Plant", "settings": settings})
        _, again = events(AFTER, {**env, "ID": saved["id"]})[-1]
        assert again["steps"][-1]["code"] == "broker.credentials"
    finally:
        tenant.close()


def events(command: str, env: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """What a command prints, as (event, data)."""
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    found = re.findall(r"event: (.*)\ndata: (.*)\n", done.stdout)
    assert found, done.stdout
    return [(name, json.loads(data)) for name, data in found]
