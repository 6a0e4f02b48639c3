"""From HTTP to the readings: a wrong decoder, history decoded again, read models rebuilt by `make rebuild`."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
AGAIN = {
    "from": "2026-01-01T00:00:00Z",
    "decoder": {"name": "custom", "settings": {"telemetry_path": "body.values"}},
}


def metrics(tenant: Tenant) -> set[tuple[str, ...]]:
    return {tuple(sorted(row["metrics"])) for row in tenant.all("/telemetry")}


@pytest.mark.timeout(240)
def test_history_is_decoded_again_and_stays_so_after_a_rebuild(
    stack: Stack, tenant: Tenant, new_tenant: Callable[[str], Tenant]
) -> None:
    for number in range(30):
        body = {"topic": "devices/d1/telemetry", "payload": {"body": {"values": {"t": number}}}}
        tenant.post("/ingest", body, expect=202)
    eventually_now(lambda: len(list(tenant.all("/telemetry"))) == 30, timeout_s=30)
    assert metrics(tenant) == {("body.values.t",)}

    looked = tenant.post("/redecode", {**AGAIN, "dry_run": True}, expect=200)
    assert (looked["messages"], looked["added"], looked["removed"]) == (30, 30, 30)
    assert looked["samples_added"][0]["metric"] == "t"
    assert metrics(tenant) == {("body.values.t",)}, "a dry run changed something"

    key = {"Idempotency-Key": "once"}
    job = tenant.post("/redecode", AGAIN, expect=202, **key)
    assert tenant.post("/redecode", AGAIN, expect=202, **key)["id"] == job["id"]
    eventually_now(lambda: tenant.get(f"/redecode/{job['id']}")["state"] == "done", timeout_s=30)
    done = tenant.get(f"/redecode/{job['id']}")
    assert (done["messages"], done["progress"], done["decoder"]["name"]) == (30, 1.0, "custom")
    assert metrics(tenant) == {("t",)}
    assert set(tenant.get("/devices/d1")["latest"]) == {"t"}

    stranger = new_tenant("Stranger")
    for verb in ("", "/pause", "/resume", "/cancel"):
        answer = stranger.http.request("POST" if verb else "GET", f"/v1/redecode/{job['id']}{verb}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    state = stack.run_file.parent
    made = subprocess.run(
        [sys.executable, "-m", "deploy.local.rebuild"],
        env={**os.environ, "HYBRIDMQ_STATE": str(state)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "exchanged" in made.stdout
    assert metrics(tenant) == {("t",)}
    assert len(list(tenant.all("/telemetry"))) == 30
