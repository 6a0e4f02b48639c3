"""docs/how-to/issue-credentials-for-a-fleet.md, run as it is written: its commands give what it says."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/issue-credentials-for-a-fleet.md").read_text()
WRITE, CHECK, ISSUE, FIND, EXPIRE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_give_what_it_says(stack: Stack, tmp_path: Path) -> None:
    tenant = Tenant(stack)
    env = {**os.environ, "GATEWAY": stack.addresses.gateway, "KEY": tenant.key}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    run(WRITE)
    checked = run(CHECK).splitlines()
    assert checked[-1] in PAGE
    refused = json.loads(checked[2])
    assert refused["error"]["code"] in PAGE
    assert tenant.get("/credentials")["items"] == []
    run(ISSUE)
    passwords = re.findall(r"hmq_dev_\w{20,}", (tmp_path / "issued.ndjson").read_text())
    assert len(passwords) == 2
    run(ISSUE)
    assert re.findall(r"hmq_dev_\w{20,}", (tmp_path / "issued.ndjson").read_text()) == passwords
    found = json.loads(run(FIND))["items"]
    assert [each["name"] for each in found] == ["boiler-8", "Boiler in the hall"]
    env["ID"] = found[0]["id"]
    assert json.loads(run(EXPIRE))["expires_at"] == "2031-01-01T00:00:00Z"
    tenant.close()
