"""The guide to dead letters, run as it is written, on the whole platform."""

from __future__ import annotations

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
GUIDE = (ROOT / "docs/how-to/read-a-dead-letter.md").read_text()
COMMANDS = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ").splitlines()


def run(beginning: str, stack: Stack, tenant: Tenant, **variables: str) -> Any:
    """The answer of the one command of the guide that has this in it."""
    (command,) = [line for line in COMMANDS if beginning in line]
    env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key, **variables}
    done = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_a_dead_letter_is_found_mended_and_decoded(stack: Stack, tenant: Tenant) -> None:
    for number in range(2):
        sent = {"topic": f"devices/d{number}/telemetry", "payload_base64": "e2Jyb2tlbg=="}
        assert tenant.http.post("/v1/ingest", json=sent).status_code == 202
    eventually_now(lambda: run("dead-letters/counts", stack, tenant)["total"] == 2)
    listed = run("dead-letters?reason", stack, tenant)["items"]
    assert [row["preview"] for row in listed] == ["{broken"] * 2
    letter = run("dead-letters/$LETTER", stack, tenant, LETTER=listed[0]["id"])
    assert letter["payload_text"] == "{broken"

    change = tenant.http.patch("/v1/integrations/hosted", json={"decoder": {"name": "text"}})
    assert change.status_code == 200, change.text

    def resolved() -> bool:
        run("dead-letters/retry", stack, tenant)
        return bool(run("dead-letters/counts", stack, tenant)["total"] == 0)

    eventually_now(resolved, timeout_s=30)
    values = [list(row["metrics"].values()) for row in tenant.get("/telemetry")["items"]]
    assert values == [["{broken"]] * 2


def test_one_that_nobody_wants_is_discarded(stack: Stack, tenant: Tenant) -> None:
    back = tenant.http.patch("/v1/integrations/hosted", json={"decoder": {"name": "standard"}})
    assert back.status_code == 200, back.text

    def refused() -> bool:
        tenant.http.post(
            "/v1/ingest", json={"topic": "devices/d9/telemetry", "payload_base64": "e2Jyb2tlbg=="}
        )
        return bool(run("dead-letters?reason", stack, tenant)["items"])

    eventually_now(refused)
    letter = run("dead-letters?reason", stack, tenant)["items"][-1]
    assert run("dead-letters/discard", stack, tenant, LETTER=letter["id"])["discarded"] == 1
    assert letter["id"] not in [row["id"] for row in run("dead-letters?reason", stack, tenant)["items"]]
