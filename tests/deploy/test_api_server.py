"""What a real API server says of the manifests: schemas, CEL rules of operators' kinds, admission, Pod Security."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s import render
from deploy.k8s.manifests import Workload
from deploy.local.stack import ROOT
from tests.support.api_server import CRDS, ApiServer, needs_api_server

pytestmark = [pytest.mark.slow, needs_api_server]
GUIDE = (ROOT / "docs/guides/disaster-recovery.md").read_text()
KNOWN = ("a DNS label is recommended", "failed to migrate kubectl")
"""Warnings that are left: Jobs are named after a version, which has dots; the namespace comes from a client's apply."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("kubernetes"))
    started.start()
    try:
        started.kubectl("apply", "--server-side", "-f", str(CRDS))
        started.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        started.kubectl("apply", "-f", str(render.FOLDER / "base/namespace.yaml"))
        yield started
    finally:
        started.stop()


def warnings(said: str) -> list[str]:
    lines = [line for line in said.splitlines() if line.startswith("Warning")]
    return [line for line in lines if not any(known in line for known in KNOWN)]


@pytest.mark.parametrize("overlay", render.OVERLAYS)
def test_every_overlay_is_taken_without_a_warning(server: ApiServer, overlay: str) -> None:
    said = server.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=render.text(overlay))
    assert warnings(said) == []
    assert said.count("(server dry run)") == len(render.render(overlay).objects)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("Certificate", ("privateKey", {"algorithm": "DSA"}), "Unsupported value"),
        ("HTTPRoute", ("rules", [{"backendRefs": [{"name": "a"}]}]), "Must have port for Service reference"),
        ("PersistentVolumeClaim", ("accessModes", ["Many"]), "Unsupported value"),
    ],
)
def test_what_the_server_does_not_take_is_refused(
    server: ApiServer, kind: str, change: tuple[str, Any], words: str
) -> None:
    """So that the others' silence means something: a value, a rule in CEL, a built-in kind."""
    item = next(render.render("production").of(kind))
    item["spec"][change[0]] = change[1]
    with pytest.raises(AssertionError, match=words):
        server.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=yaml.safe_dump(item))


@pytest.fixture(scope="module")
def applied(server: ApiServer) -> ApiServer:
    """As the guide says it, twice: the second apply is an upgrade of nothing."""
    for _ in range(2):
        assert warnings(server.kubectl("apply", "-f", "-", given=render.text("production"))) == []
    return server


def test_pods_are_admitted_as_restricted(applied: ApiServer) -> None:
    """Pod Security looks at pods alone; nobody makes them of workloads where there are no controllers."""
    for workload in render.render("production").workloads:
        claimed = [
            {"name": each["metadata"]["name"], "emptyDir": {}}
            for each in workload.object["spec"].get("volumeClaimTemplates", [])
        ]
        spec = {**workload.pod, "volumes": [*workload.pod.get("volumes", []), *claimed]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tried", "namespace": "hybridmq", "labels": workload.labels},
            "spec": {"restartPolicy": "Always", **spec},
        }
        asked = yaml.safe_dump(pod)
        applied.kubectl("create", "--dry-run=server", "-f", "-", given=asked)
        loose = yaml.safe_dump({**pod, "spec": {**spec, "securityContext": {}}})
        with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
            applied.kubectl("create", "--dry-run=server", "-f", "-", given=loose)


def test_the_guides_commands_restore_what_was_saved(applied: ApiServer, tmp_path: Path) -> None:
    """Those of *All of NATS*, as they stand there; nobody runs the Jobs here, so nobody waits for them."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE[GUIDE.index("**All of NATS.**") :], re.DOTALL)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        '#!/bin/sh\ncase "$*" in *" wait "*) exit 0;; esac\nexec "$KUBECTL" '
        + " ".join(applied.options)
        + ' "$@"\n'
    )
    kubectl.chmod(0o755)
    [real] = subprocess.run(["which", "kubectl"], capture_output=True, text=True, check=True).stdout.split()
    env = {**os.environ, "KUBECTL": real, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for commands in blocks:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", commands],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for kept in ("hourly", "daily"):
        job = yaml.safe_load(applied.kubectl("-n", "hybridmq", "get", "job", f"restore-{kept}", "-o", "yaml"))
        assert Workload(job).main.spec["args"] == ["-m", "runtime.backup", "restore", f"/backup/{kept}"]
        cron = f"hybridmq-backup-{kept}"
        held = yaml.safe_load(applied.kubectl("-n", "hybridmq", "get", "cronjob", cron, "-o", "yaml"))
        assert held["spec"]["suspend"] is False


def test_a_restore_leaves_out_what_runs_once(applied: ApiServer) -> None:
    once = applied.kubectl(
        "-n", "hybridmq", "get", "jobs", "-l", "hybridmq.io/runs=once", "-o", "name"
    ).split()
    assert sorted(once) == ["job.batch/migrate-0.1.0", "job.batch/provision-0.1.0"]
