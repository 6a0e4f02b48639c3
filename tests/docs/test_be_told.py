"""docs/how-to/be-told-when-something-is-wrong.md, run as it is written: its commands give what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/be-told-when-something-is-wrong.md").read_text()
HOT, QUIET, TRIED, OFF, NOW, KNOWN = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def tenant(stack: Stack) -> Iterator[Tenant]:
    made = Tenant(stack, "Told")
    yield made
    made.close()


def test_the_page_leads_from_a_rule_to_somebody_who_knows(stack: Stack, tenant: Tenant) -> None:
    def run(command: str, **variables: str) -> Any:
        env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key, **variables}
        done = subprocess.run(
            ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=True
        )
        return json.loads(done.stdout)

    rule = run(HOT)
    assert rule["condition"]["for_s"] == 60
    assert run(QUIET)["scope"] == {"kind": "tag", "tag": "north"}
    assert not run(OFF)["enabled"]
    listed, critical, one = NOW.strip().splitlines()

    def opened() -> list[Any]:
        now = datetime.now(UTC)
        for ago in (70, 1):
            measured = (now - timedelta(seconds=ago)).isoformat()
            payload = {"ts": measured, "temperature": 83.5}
            sent = {"topic": "devices/boiler-7/telemetry", "payload": payload}
            assert tenant.http.post("/v1/ingest", json=sent).status_code == 202
        return list(run(listed)["items"])

    (alert,) = eventually_now(opened, timeout_s=60, every_s=0.5)
    assert alert["rule_id"] == rule["id"]
    assert [row["id"] for row in run(critical)["items"]] == [alert["id"]]
    assert run(TRIED)["opened"] >= 1
    assert run(one, ALERT=alert["id"])["history"][0]["evidence"]["value"] == 83.5
    assert run(KNOWN, ALERT=alert["id"])["state"] == "acknowledged"


def test_every_kind_of_condition_and_reason_is_on_the_page() -> None:
    from contracts.alert_rules import ConditionKind
    from contracts.alerts import Reason

    for kind in ConditionKind.__args__:  # type: ignore[attr-defined]
        assert f"| `{kind}` |" in PAGE
    assert "rule_disabled" in Reason.__args__  # type: ignore[attr-defined]
