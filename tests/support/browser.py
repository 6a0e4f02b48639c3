"""A person at the console: a page in real Chromium that notes whatever must not happen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from deploy.local.console import CONSOLE

AXE = CONSOLE / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OWN_HOSTS = frozenset({"127.0.0.1", "localhost"})
# What the browser itself says of an answer that a test asks for: a refusal is no failure of the page.
_EXPECTED = ("Failed to load resource",)

expect.set_options(timeout=30_000)


def find_chromium() -> str | None:
    """The one without windows of its own where it is installed: it takes less CPU."""
    return which("chromium-headless-shell") or which("chromium")


class Visitor:
    """One browser context, and its page. `faults` are what no page may ever cause."""

    def __init__(self, page: Page, gateway: str) -> None:
        self.page, self.gateway = page, gateway
        self.faults: list[str] = []
        page.set_default_timeout(30_000)
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("blob", "data") and address.hostname not in OWN_HOSTS:
            self.faults.append(f"asked another host: {address.hostname}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_EXPECTED):
            self.faults.append(f"console: {message.text}")

    def open(self, path: str, heading: str | None = None) -> None:
        """A page of the console, by its address; `heading` is awaited."""
        self.page.goto(f"{self.gateway}/console{path}")
        if heading is not None:
            self.see(heading)

    def see(self, heading: str) -> None:
        """The page's own heading is there."""
        expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    def sign_in(self, key: str, heading: str = "Overview") -> None:
        self.open("/sign-in", "Sign in")
        self.page.get_by_label("API key", exact=True).fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.see(heading)

    def enter(
        self, key: str, path: str = "/", heading: str = "Overview", *, organization: str | None = None
    ) -> None:
        """Signed in without the form, for whatever is no test of signing in; at a page.

        `organization`: whose, for the operator."""
        asked = self.page.context.request.post(
            f"{self.gateway}/console/session", data={"key": key}, headers={"x-console-session": "1"}
        )
        assert asked.ok, asked.text()
        self.open(f"{path}?org={organization}" if organization else path, heading)

    def api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What the page itself would get: status and body, with the session's cookie and our header."""
        found: dict[str, Any] = self.page.evaluate(
            """async ([method, path, body]) => {
                const response = await fetch(path, {
                    method,
                    headers: {"x-console-session": "1", "content-type": "application/json"},
                    body: body === null ? undefined : JSON.stringify(body),
                });
                return {status: response.status, body: await response.json().catch(() => null)};
            }""",
            [method, path, body],
        )
        return found

    def assert_accessible(self) -> None:
        """No violation of WCAG 2.2 AA, as far as axe sees, in light and in dark."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            expect(self.page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
            self._settle()
            found = self._axe()
            assert not found, f"{self.page.url} in {scheme}:\n" + "\n".join(found)

    def _settle(self) -> None:
        """Colours fade: what is measured is what stays."""
        self.page.evaluate(
            "() => Promise.all(document.getAnimations().filter(one => one.effect.getComputedTiming().endTime < 1e4)"
            ".map(one => one.finished.catch(() => {})))"
        )

    def _axe(self) -> list[str]:
        if not self.page.evaluate("() => 'axe' in window"):
            # By the debugger, which the content security policy does not bind: a <script> would be refused
            self.page.evaluate(AXE.read_text() + "\n;0")
        result = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", WCAG
        )
        return [
            f"{violation['id']}: {node['html'][:200]} ({json.dumps(node['any'][:1])[:300]})"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]

    def assert_fits(self) -> None:
        """Nothing is wider than the window."""
        wide = self.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"

    def picture(self, folder: Path, name: str) -> None:
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


@contextmanager
def visiting(browser: Browser, gateway: str, **options: Any) -> Iterator[Visitor]:
    """A person with an empty cookie jar; at the end, what must not happen has not happened."""
    options.setdefault("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(base_url=gateway, **options)
    visitor = Visitor(context.new_page(), gateway)
    try:
        yield visitor
        assert not visitor.faults, visitor.faults
    finally:
        context.close()
