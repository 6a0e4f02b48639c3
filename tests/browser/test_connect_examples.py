"""Each example of the connect page does, as it is copied, what the page promises."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, expect

from deploy.local.console import CONSOLE
from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from tests.support.browser import Visitor, visiting
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser

BOARDS = Path(__file__).parents[1] / "support" / "boards"
PLAIN, TLS = "MQTT", "MQTT over TLS"
NODE = str(Path(sys.executable).parent / "node")


class Program(NamedTuple):
    label: str
    way: str | None
    file: str
    runner: str

    def __str__(self) -> str:
        return f"{self.label} {self.way or 'HTTP'}"


PROGRAMS = [
    Program("mosquitto_pub", PLAIN, "example.sh", "bash"),
    Program("mosquitto_pub", TLS, "example.sh", "bash"),
    Program("Python, paho", TLS, "device.py", sys.executable),
    Program("Python, aiomqtt", PLAIN, "device.py", sys.executable),
    Program("Python, aiomqtt", TLS, "device.py", sys.executable),
    Program("Node.js", PLAIN, "device.mjs", NODE),
    Program("Node.js", TLS, "device.mjs", NODE),
    Program("curl", None, "example.sh", "bash"),
]
BOARD_EXAMPLES = ("Arduino, ESP32", "ESP-IDF")
Examples = dict[tuple[str, str | None], str]


def copied(visitor: Visitor, label: str, way: str | None = None) -> str:
    """An example's code by its own button, as a person takes it."""
    page = visitor.page
    page.get_by_role("tab", name=label, exact=True).click()
    if way is not None:
        page.get_by_role("radiogroup", name="How to connect").get_by_text(way, exact=True).click()
    shown = page.get_by_role("region", name=f"Example: {label}", exact=True)
    expect(shown).to_contain_text("hmq_dev_")
    expect(shown).to_contain_text("•")
    page.evaluate("() => navigator.clipboard.writeText('')")
    page.get_by_role("button", name=re.compile("^(Copy|Copied)$")).click()
    page.wait_for_function("() => navigator.clipboard.readText().then((text) => text !== '')")
    code: str = page.evaluate("() => navigator.clipboard.readText()")
    assert "•" not in code
    return code


@pytest.fixture(scope="module")
def holder(stack: Stack) -> Iterator[Tenant]:
    made = Tenant(stack)
    yield made
    made.close()


@pytest.fixture(scope="module")
def person(browser: Browser, built_console: None, holder: Tenant) -> Iterator[Visitor]:
    """Somebody who has just made a credential, and did not hide its password yet."""
    permissions = ["clipboard-read", "clipboard-write"]
    with visiting(browser, holder.stack.addresses.gateway, permissions=permissions) as visitor:
        visitor.enter(holder.key)
        visitor.page.get_by_role("link", name="New credential").click()
        dialog = visitor.page.get_by_role("dialog", name="New credential")
        dialog.get_by_label("Device id").fill("boiler-7")
        dialog.get_by_role("button", name="Create").click()
        visitor.see("boiler-7")
        yield visitor


@pytest.fixture(scope="module")
def examples(person: Visitor) -> Examples:
    """Every example that something here can run or compile."""
    wanted = [(one.label, one.way) for one in PROGRAMS]
    wanted += [(label, way) for label in BOARD_EXAMPLES for way in (PLAIN, TLS)] + [("Browser", None)]
    return {(label, way): copied(person, label, way) for label, way in wanted}


@pytest.fixture(scope="module")
def authority(person: Visitor, examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broker's certificate authority, by the page's own command."""
    copied(person, "Node.js", TLS)
    command = person.page.get_by_text(re.compile(r"^curl -so hybridmq-ca\.pem"))
    folder = tmp_path_factory.mktemp("authority")
    subprocess.run(["bash", "-c", command.inner_text()], cwd=folder, check=True, timeout=60)
    return folder / "hybridmq-ca.pem"


def stored(tenant: Tenant) -> int:
    return len(tenant.get("/messages", limit=1000)["items"])


@pytest.mark.parametrize("one", PROGRAMS, ids=str)
def test_a_program_sends_as_it_was_copied(
    holder: Tenant, examples: Examples, authority: Path, tmp_path: Path, one: Program
) -> None:
    (tmp_path / one.file).write_text(examples[one.label, one.way])
    (tmp_path / "node_modules").symlink_to(CONSOLE / "node_modules")
    if one.way == TLS and one.label != "mosquitto_pub":  # which fetches it itself
        (tmp_path / authority.name).symlink_to(authority)
    before = stored(holder)
    said = tmp_path / "said"
    with (
        said.open("w") as out,
        subprocess.Popen([one.runner, one.file], cwd=tmp_path, stdout=out, stderr=out) as program,
    ):
        try:
            eventually_now(lambda: stored(holder) > before or program.poll(), timeout_s=60)
        finally:
            program.terminate()  # those that go on have shown that they do
    assert stored(holder) > before, said.read_text()


def test_a_page_in_a_browser_sends_as_it_was_copied(
    browser: Browser, examples: Examples, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(examples["Browser", None])
    (tmp_path / "node_modules").symlink_to(CONSOLE / "node_modules")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with visiting(browser, f"http://{LOOPBACK}:{server.server_port}") as device:
            device.page.goto("/")
            expect(device.page.get_by_text(re.compile('Sent {"temperature":2'))).to_be_visible()
            device.faults.clear()  # it has no icon
        server.shutdown()


@pytest.mark.parametrize("way", [PLAIN, TLS])
def test_an_example_for_a_board_compiles(examples: Examples, tmp_path: Path, way: str) -> None:
    """Against declarations of its framework: no board is here to run it."""
    if which("g++") is None:
        pytest.skip("there is no C++ compiler")
    (tmp_path / "sketch.cpp").write_text(f'#include "Arduino.h"\n{examples["Arduino, ESP32", way]}')
    (tmp_path / "main.c").write_text(examples["ESP-IDF", way])
    for compiler, file in (("g++", "sketch.cpp"), ("gcc", "main.c")):
        command = [compiler, "-fsyntax-only", "-Wall", "-Werror", f"-I{BOARDS}", file]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_a_password_is_hidden_in_an_example_until_it_is_asked_for(person: Visitor) -> None:
    code = copied(person, "Python, paho", PLAIN)
    (password,) = re.findall(r"hmq_dev_\w+", code)
    page = person.page
    assert password not in page.content()
    shown = page.get_by_role("region", name="Example: Python, paho", exact=True)
    shown.select_text()
    page.keyboard.press("Control+c")
    assert page.evaluate("() => navigator.clipboard.readText()").strip() == code.strip()
    page.get_by_role("button", name="Show the password").click()
    expect(shown).to_contain_text(password)
    person.assert_accessible()
    person.assert_fits()
