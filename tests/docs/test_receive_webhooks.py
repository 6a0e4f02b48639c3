"""docs/how-to/receive-webhooks.md, run as it is written: its commands, and its receivers in Python and Node.js."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/receive-webhooks.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
[PYTHON] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[NODE] = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)


@contextmanager
def running(language: str, folder: Path, port: int, secret: str) -> Iterator[Path]:
    """A receiver of the page, as a process; what it prints."""
    name, text = ("receiver.py", PYTHON) if language == "Python" else ("receiver.mjs", NODE)
    (folder / name).write_text(text)
    node = str(Path(sys.executable).parent / "node")
    program = [sys.executable, "-u"] if language == "Python" else [node]
    printed = folder / "printed"
    with printed.open("wb") as out:
        env = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": secret}
        process = subprocess.Popen(
            [*program, name], cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield printed
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> int | None:
    try:
        return httpx.post(url, content=b"{}", headers={"webhook-id": "x"}).status_code
    except httpx.HTTPError:
        return None


@pytest.mark.parametrize("language", ["Python", "Node.js"])
def test_the_page_from_the_first_command_to_the_last(stack: Stack, tmp_path: Path, language: str) -> None:
    if language == "Node.js" and not (Path(sys.executable).parent / "node").exists():
        pytest.skip("Node.js is not installed")
    tenant = Tenant(stack, f"Acme {language}")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}/hook"
    env = {
        **os.environ,
        "GATEWAY": stack.addresses.gateway,
        "KEY": tenant.key,
        "RECEIVER": url,
    }
    said = tmp_path / "webhook.json"

    def run(command: str) -> list[Any]:
        """The JSON answers of a block."""
        text = command.replace("/tmp/webhook.json", str(said))
        if said.exists() and "WEBHOOK=" not in text:
            env["WEBHOOK"] = json.loads(said.read_text())["id"]
        done = subprocess.run(
            ["bash", "-c", text], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        decoder, found, rest = json.JSONDecoder(), [], done.stdout.strip()
        while rest:
            value, end = decoder.raw_decode(rest)
            found.append(value)
            rest = rest[end:].strip()
        return found

    create, test, send, look, rotate = COMMANDS
    [made] = run(create)
    with running(language, tmp_path, port, made["secret"]) as printed:
        eventually_now(lambda: answers(url) is not None)
        assert answers(url) == 400, "what is not signed is refused"
        [tested] = run(test)
        assert tested["ok"], tested
        run(send)
        eventually_now(lambda: 'message boiler-7 {"temperature": 64.8}' in printed.read_text())
        assert printed.read_text().count("message boiler-7") == 1
        state, dead, retried = run(look)
        assert (dead["items"], retried) == ([], {"retried": 0})
        assert state["delivery"]["state"] == "healthy"
        [rotated] = run(rotate)
        assert rotated["secret"] != made["secret"]
        run(send)  # the old secret still fits
        eventually_now(lambda: printed.read_text().count("message boiler-7") == 2)
    tenant.close()
