"""How to send messages by HTTP, run as it is written: what was accepted is queryable, once."""

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
GUIDE = (ROOT / "docs/how-to/send-messages-by-http.md").read_text()
ONE, MANY, WITHOUT_END = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


def lines(command: str, stack: Stack, tenant: Tenant) -> list[Any]:
    env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key}
    done = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_guides_commands_store_each_message_once(stack: Stack, tenant: Tenant) -> None:
    for again in (False, True):
        (one,) = lines(ONE, stack, tenant)
        assert one["duplicate"] is again
        (many,) = lines(MANY, stack, tenant)
        assert [result["duplicate"] for result in many["results"]] == [again, again]
        stored, refused, end = lines(WITHOUT_END, stack, tenant)
        assert (stored["line"], stored["duplicate"]) == (1, again)
        assert refused["error"]["code"] == "request.malformed"
        assert end["summary"] == {"lines": 2, "accepted": 1, "refused": 1, "unavailable": 0}

    def temperatures() -> list[float]:
        return sorted(row["metrics"]["temperature"] for row in tenant.get("/telemetry")["items"])

    eventually_now(lambda: temperatures() == [19.0, 21.5, 21.6, 21.7])
