"""The console's files and sessions, without a browser: what other sites, other tabs and other people may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from contracts.failures import Refused
from deploy.local.console import CONSOLE
from services.gateway.app import RESOURCES
from services.gateway.console_files import ConsoleFiles
from services.gateway.sessions import COOKIE, HEADER, SECURE_COOKIE, Sessions
from tests.gateway.peers import ALPHA, KEYS, Peers
from tests.gateway.problem_assertions import assert_problem
from tests.support.clients import http_client
from tests.support.service import Service

in_module_loop = pytest.mark.asyncio(loop_scope="module")
OWN = {HEADER: "1"}


def sessions(seed: str = "SUAExample", lasts_s: float = 3600.0, now: float = 1_000_000.0) -> Sessions:
    settings: Any = SimpleNamespace(session_key=None, nats_seed=SecretStr(seed), session_lasts_s=lasts_s)
    return Sessions(settings, clock=lambda: now)


def refused(run: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as failure:
        run()
    return failure.value.code


def test_every_replica_opens_what_one_of_them_sealed() -> None:
    _, value = sessions().begin(KEYS.alpha)
    assert sessions().open(value).key == KEYS.alpha
    assert KEYS.alpha not in value


def test_a_cookie_of_another_platform_or_one_that_was_changed_is_no_session() -> None:
    _, value = sessions().begin(KEYS.alpha)
    assert refused(lambda: sessions(seed="another").open(value)) == "session.ended"
    middle = len(value) // 2
    changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    assert refused(lambda: sessions().open(changed)) == "session.ended"
    for nonsense in ("x", "ä" * 40, "=" * 50, value[:20]):
        assert refused(lambda text=nonsense: sessions().open(text)) == "session.ended"  # type: ignore[misc]


def test_a_session_ends_with_its_time() -> None:
    _, value = sessions(now=0).begin(KEYS.alpha)
    assert sessions(now=3599).open(value).key == KEYS.alpha
    assert refused(lambda: sessions(now=3600).open(value)) == "session.ended"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cookie(gateway: Service, running_peers: Peers) -> dict[str, str]:
    async with http_client(gateway.url) as browser:
        signed = await browser.post("/console/session", json={"key": KEYS.alpha}, headers=OWN)
        assert signed.status_code == 200, signed.text
        return dict(browser.cookies)


@in_module_loop
async def test_signing_in_tells_who_one_is_and_sets_a_strict_cookie(
    http: httpx.AsyncClient, peers: Peers
) -> None:
    signed = await http.post("/console/session", json={"key": KEYS.alpha}, headers=OWN)
    assert signed.json()["organization"] == ALPHA
    assert signed.json()["scopes"] == ["admin"]
    set_cookie = signed.headers["set-cookie"]
    assert set_cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(set_cookie.split("; "))
    assert KEYS.alpha not in signed.text + set_cookie


@in_module_loop
async def test_over_https_the_cookie_is_secure_and_bound_to_its_host(
    http: httpx.AsyncClient, gateway: Service, peers: Peers
) -> None:
    host = gateway.url.removeprefix("http://")
    headers = {**OWN, "origin": f"https://{host}"}
    signed = await http.post("/console/session", json={"key": KEYS.alpha}, headers=headers)
    assert signed.headers["set-cookie"].startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in signed.headers["set-cookie"].split("; ")


@in_module_loop
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**OWN, "origin": "https://evil.example"},
        {**OWN, "origin": "null"},
        {**OWN, "sec-fetch-site": "cross-site"},
        {**OWN, "sec-fetch-site": "same-site"},
    ],
    ids=["no header", "another origin", "origin null", "cross-site", "a sibling host"],
)
async def test_another_site_can_neither_sign_in_nor_use_a_session(
    http: httpx.AsyncClient, peers: Peers, cookie: dict[str, str], headers: dict[str, str]
) -> None:
    signed = await http.post("/console/session", json={"key": KEYS.alpha}, headers=headers)
    assert_problem(signed, "session.foreign")
    assert "set-cookie" not in signed.headers
    http.cookies.update(cookie)
    assert_problem(await http.post("/v1/credentials", json={"name": "x"}, headers=headers), "session.foreign")
    assert_problem(await http.delete("/console/session", headers=headers), "session.foreign")


@in_module_loop
async def test_a_session_does_what_its_key_may_and_no_more(
    http: httpx.AsyncClient, peers: Peers, cookie: dict[str, str]
) -> None:
    http.cookies.update(cookie)
    assert (await http.get("/v1/credentials")).status_code == 200
    assert (await http.post("/v1/credentials", json={"name": "x"}, headers=OWN)).status_code == 201
    assert_problem(await http.get("/v1/organizations"), "scope.missing")
    other = {"x-organization": "org_0000000000000000"}
    assert_problem(await http.get("/v1/credentials", headers=other), "scope.missing")


@in_module_loop
async def test_a_key_that_is_sent_counts_before_a_session(
    http: httpx.AsyncClient, peers: Peers, cookie: dict[str, str]
) -> None:
    http.cookies.update(cookie)
    asked = await http.get("/v1/credentials", headers={"authorization": f"Bearer {KEYS.unknown}"})
    assert_problem(asked, "key.invalid")


@in_module_loop
async def test_who_comes_without_a_session_is_nobody(http: httpx.AsyncClient, peers: Peers) -> None:
    assert (await http.get("/console/session")).status_code == 204
    http.cookies.set(COOKIE, "not-a-session")
    ended = await http.get("/console/session")
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert_problem(await http.get("/v1/credentials"), "session.ended")


@in_module_loop
async def test_a_key_of_the_wrong_form_is_refused_before_anybody_is_asked(
    http: httpx.AsyncClient, peers: Peers
) -> None:
    for key in ("hmq_key_short", "x" * 3001, "", KEYS.device):
        signed = await http.post("/console/session", json={"key": key}, headers=OWN)
        assert signed.status_code in (401, 422)
        assert key == "" or key not in signed.text
    assert not peers.asked


@pytest.fixture
def files(tmp_path: Path) -> ConsoleFiles:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "assets/app-1a2b.js").write_text("run()")
    (tmp_path / "assets/app-1a2b.js.br").write_bytes(b"br")
    return ConsoleFiles(tmp_path)


def test_files_with_a_hash_in_their_name_are_kept_for_ever_and_the_page_is_asked_about(
    files: ConsoleFiles,
) -> None:
    asset = files.answer("/assets/app-1a2b.js", {})
    assert "immutable" in asset.headers["cache-control"]
    page = files.answer("/", {})
    assert page.headers["cache-control"] == "no-cache"
    again = files.answer("/", {"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_deep_link_is_the_page_and_a_missing_file_is_missing(files: ConsoleFiles) -> None:
    for path in ("/credentials/cred_1", "/devices/pump-1.2", "/devices/site%2Fpump.js"):
        assert files.answer(path, {}).content == b"<html>"
    for path in ("/assets/gone-1.js", "/favicon.ico", "/../settings.py", "/assets/app-1a2b.js.br"):
        assert refused(lambda path=path: files.answer(path, {})) == "route.unknown"  # type: ignore[misc]


def test_a_file_goes_compressed_to_whom_takes_it(files: ConsoleFiles) -> None:
    small = files.answer("/assets/app-1a2b.js", {"accept-encoding": "gzip, br;q=1"})
    assert (small.content, small.headers["content-encoding"]) == (b"br", "br")
    assert files.answer("/assets/app-1a2b.js", {}).content == b"run()"


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline(files: ConsoleFiles) -> None:
    policy = dict(
        part.strip().split(" ", 1)
        for part in files.answer("/x", {}).headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert set(policy) == {"default-src", "base-uri", "form-action", "frame-ancestors", "object-src"}
    assert all(policy[name] == "'none'" for name in policy if name != "default-src")


def test_for_each_refusal_of_a_call_the_console_has_a_next_step() -> None:
    source = (CONSOLE / "src/api/problem.ts").read_text()
    table = source.partition("NEXT_STEPS")[2].partition("};")[0]
    known = set(re.findall(r'^  "?([a-z_.]+)"?:', table, re.MULTILINE))
    handlers = [handler for module in RESOURCES for handler in module.ROUTES]
    refusals = {code for handler in handlers for code in handler.opt.get("failures", ())}
    assert refusals - known == set()
