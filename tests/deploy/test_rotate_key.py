"""`make rotate-key` on a running platform: a new key, nothing left on the old one, and every secret still opens."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import requests, rotate_key
from deploy.local.stack import ROOT, Stack
from tests.conftest import MakeStack
from tests.support.tenant import Tenant


@pytest.fixture(scope="module")
def running(make_stack: MakeStack) -> Iterator[Stack]:
    """As `make run` does it: somebody looks after the processes."""
    stack = make_stack()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            stack.watch()

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    yield stack
    done.set()
    watching.join()
    stack.stop()


def _state(stack: Stack) -> Path:
    return stack.run_file.parent


def _key_file(stack: Stack) -> Path:
    return _state(stack) / "secrets" / "key-encryption.key"


def _rotate(stack: Stack) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.local.rotate_key"],
        env={**os.environ, "HYBRIDMQ_STATE": str(_state(stack))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def _make_integrations(tenant: Tenant, count: int) -> None:
    settings = {"host": "127.0.0.1", "port": 1, "username": "u", "password": "a secret"}
    for number in range(count):
        made = tenant.http.post(
            "/v1/integrations",
            json={"name": f"Plant {number}", "settings": settings},
            headers={"Idempotency-Key": f"plant-{number}"},
        )
        assert made.status_code == 201, made.text


def _rotation(stack: Stack, tenant: Tenant) -> dict[str, object]:
    admin = {"Authorization": f"Bearer {stack.addresses.admin_key}"}
    found: dict[str, object] = tenant.http.get("/v1/secrets/rotate", headers=admin).json()
    return found


@pytest.mark.slow
def test_the_old_key_is_replaced_and_every_secret_opens(running: Stack) -> None:
    tenant = Tenant(running)
    _make_integrations(tenant, 3)
    before = _key_file(running).read_text()
    done = _rotate(running)
    assert done.returncode == 0, done.stdout + done.stderr
    after = _key_file(running).read_text()
    assert before not in after
    assert "," not in after
    assert stat.S_IMODE(_key_file(running).stat().st_mode) == 0o600
    assert before not in done.stdout
    assert after.rpartition(":")[2] not in done.stdout
    held = _rotation(running, tenant)
    assert (held["left"], held["unreadable"], len(held["keys"])) == (0, 0, 1)  # type: ignore[arg-type]
    _make_integrations(tenant, 3)  # retries of the same commands: their plans still open
    tenant.close()


@pytest.mark.slow
def test_a_rotation_that_was_broken_off_goes_on_with_the_same_key(running: Stack) -> None:
    path = _key_file(running)
    new = "begun:" + "A" * 43 + "="
    path.write_text(f"{new},{path.read_text()}")
    done = _rotate(running)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on with key begun" in done.stdout
    assert path.read_text() == new


def test_without_a_platform_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRIDMQ_STATE", str(tmp_path))
    assert rotate_key.main() == 1
    assert list(tmp_path.iterdir()) == []


def test_a_request_is_taken_once_and_only_for_services(tmp_path: Path) -> None:
    assert requests.taken(tmp_path, ("credentials",)) == []
    requests.ask_restart(tmp_path, "credentials")
    requests.ask_restart(tmp_path, "nobody")
    assert requests.taken(tmp_path, ("credentials", "gateway")) == ["credentials"]
    assert requests.taken(tmp_path, ("credentials", "gateway")) == []
