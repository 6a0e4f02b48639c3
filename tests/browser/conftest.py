"""Real Chromium at the real console of a running platform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.local import console
from deploy.local.stack import Stack
from tests.support.browser import Visitor, find_chromium, visiting
from tests.support.tenant import Tenant


class Visit(Protocol):
    def __call__(self, **options: Any) -> AbstractContextManager[Visitor]: ...


@pytest.fixture(scope="session", autouse=True)
def built_console() -> None:
    console.build()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a file: while Playwright's synchronous part runs, no test of asyncio can in the same process."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not installed: run tests/support/install.sh as root")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, built_console: None, stack: Stack) -> Visit:
    """Begins a visit by somebody with an empty cookie jar."""
    return partial(visiting, browser, stack.addresses.gateway)


@pytest.fixture
def visitor(visit: Visit) -> Iterator[Visitor]:
    """Somebody who has not signed in."""
    with visit() as somebody:
        yield somebody


@pytest.fixture
def tenant(stack: Stack) -> Iterator[Tenant]:
    """An organization of this test's own."""
    made = Tenant(stack)
    yield made
    made.close()


@pytest.fixture
def member(visitor: Visitor, tenant: Tenant) -> Visitor:
    """Somebody who has signed in with that organization's first key."""
    visitor.enter(tenant.key)
    return visitor
