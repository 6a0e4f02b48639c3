"""README's five-minute tour, run as it is written: a command that breaks fails here."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now

pytestmark = pytest.mark.system
README = (ROOT / "README.md").read_text()
TOUR = README[README.index("## Five minutes") : README.index("## What it promises")]
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TOUR, re.DOTALL)


def block(beginning: str) -> str:
    """The one block that begins so."""
    [found] = [code for _, code in BLOCKS if code.startswith(beginning)]
    return str(found)


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The environment of a newcomer's terminal; /tmp of the tour is a folder of this test."""
    return {**os.environ, "HYBRIDMQ_STATE": str(stack.run_file.parent), "TOUR": str(tmp_path)}


def run(code: str, env: dict[str, str]) -> tuple[str, dict[str, str]]:
    """What a block prints, and the variables that it leaves behind."""
    code = code.replace("/tmp/", env["TOUR"] + "/").replace(".venv/bin/python", sys.executable)
    marker = "--- variables ---"
    dump = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    script = f"set -e\n{code}\necho '{marker}'\n{dump}"
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out, _, variables = done.stdout.partition(marker)
    return out, json.loads(variables)


def test_a_newcomer_gets_from_nothing_to_a_reading(stack: Stack, shell: dict[str, str]) -> None:
    _, env = run(block("eval"), shell)
    assert env["GATEWAY"] == stack.addresses.gateway
    _, env = run(block("curl -s $GATEWAY/v1/organizations"), env)
    assert env["KEY"].startswith("hmq_key_")
    credential, env = run(block("curl -s $GATEWAY/v1/credentials"), env)
    assert json.loads(credential)["topic_prefix"].startswith("org_")

    listening = subprocess.Popen(
        ["bash", "-c", f"exec {block('curl -sN')}"], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    heard: list[str] = []
    assert listening.stdout is not None
    lines = listening.stdout
    threading.Thread(target=lambda: heard.extend(lines), daemon=True).start()
    try:
        publish = block("import json")
        (Path(env["TOUR"]) / "publish.py").write_text(publish.replace("/tmp/", env["TOUR"] + "/"))

        def seen_live() -> bool:
            # The stream begins at the end of the log, which the newcomer's eye awaits: publish until it is there.
            subprocess.run(
                [sys.executable, f"{env['TOUR']}/publish.py"], env=env, cwd=ROOT, timeout=30, check=True
            )
            return any('"temperature":21.5' in line.replace(" ", "") for line in heard)

        eventually_now(seen_live, timeout_s=20, every_s=0.3)
    finally:
        listening.terminate()
        listening.wait(10)

    def read_back() -> bool:
        out, _ = run(block("curl -s $GATEWAY/v1/telemetry"), env)
        return any(item["metrics"] == {"temperature": 21.5} for item in json.loads(out)["items"])

    assert eventually_now(read_back)


def test_every_file_that_readme_links_to_exists() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_readmes_commands_are_makes() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets
