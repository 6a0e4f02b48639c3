"""A Kubernetes API server of one's own: kube-apiserver and etcd on loopback, no nodes and no controllers.

`KUBEBUILDER_ASSETS` names a folder with `kube-apiserver` and `etcd`, as for controller-runtime (`setup-envtest use`
fills one); `CRDS` one with the CustomResourceDefinitions of the operators that decision 29 names.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Process

ASSETS, CRDS = (Path(os.environ.get(name, "none")) for name in ("KUBEBUILDER_ASSETS", "CRDS"))
needs_api_server = pytest.mark.skipif(
    not (ASSETS / "kube-apiserver").exists() or shutil.which("kubectl") is None or not CRDS.is_dir(),
    reason="no Kubernetes API server: KUBEBUILDER_ASSETS (kube-apiserver, etcd), CRDS and kubectl are needed",
)


class ApiServer:
    """With its admission as it comes, so with Pod Security too; `kubectl` speaks to it as who may do everything."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._token = folder, secrets.token_hex(16)
        store, peers, port = (f"http://{LOOPBACK}:{free_port()}" for _ in range(3))
        self.url = port.replace("http", "https")
        key = folder / "accounts.key"
        self._etcd = Process(
            "etcd",
            [
                str(ASSETS / "etcd"),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={store}",
                f"--advertise-client-urls={store}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster=default={peers}",
            ],
            log=folder / "etcd.log",
            stop_signal=signal.SIGTERM,
        )
        self._server = Process(
            "kube-apiserver",
            [
                str(ASSETS / "kube-apiserver"),
                f"--etcd-servers={store}",
                f"--cert-dir={folder / 'certificates'}",
                f"--bind-address={LOOPBACK}",
                f"--secure-port={self.url.rpartition(':')[2]}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                f"--token-auth-file={folder / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
            ],
            log=folder / "kube-apiserver.log",
            stop_signal=signal.SIGTERM,
        )

    def start(self) -> None:
        """Returns when it is ready."""
        command = ["openssl", "genrsa", "-out", str(self._folder / "accounts.key"), "2048"]
        subprocess.run(command, check=True, capture_output=True)
        (self._folder / "tokens.csv").write_text(f"{self._token},admin,admin,system:masters\n")
        self._etcd.start()
        self._server.start()
        self._server.await_ready(self._ready, timeout_s=120)

    def stop(self) -> None:
        self._server.stop()
        self._etcd.stop()

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What it says, warnings too; fails with that where the server refuses."""
        done = subprocess.run(
            ["kubectl", *self.options, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return said

    @property
    def options(self) -> tuple[str, ...]:
        return ("--server", self.url, "--insecure-skip-tls-verify", "--token", self._token)

    def _ready(self) -> bool:
        context = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
