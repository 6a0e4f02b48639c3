"""The image, built by buildah without Docker, from a base that mmdebstrap makes: minutes, and root."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import ROOT

TOOLS = ("buildah", "mmdebstrap", "unshare")
VERSION = "0.1.0"


class Image:
    """Built, and mounted as a container would see it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buildah = ["buildah", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self.root = Path()

    def build(self) -> None:
        base = self._folder / "base.tar"
        packages = "python3,python3-venv,ca-certificates"
        _run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(base)])
        container = self.buildah("from", "scratch")
        self.buildah("add", container, str(base), "/")
        for name, value in os.environ.items():  # how this machine's pip and npm find what they need
            if name.startswith(("PIP_", "NODE_EXTRA")) and name != "PIP_CACHE_DIR":
                self.buildah("config", "--env", f"{name}={value}", container)
        self.buildah("commit", container, "base")
        base.unlink()
        mounts = [part for path in _of_this_machine() for part in ("-v", f"{path}:{path}:ro")]
        arguments = ["--build-arg", "BASE=localhost/base", "--build-arg", f"VERSION={VERSION}"]
        self.buildah("bud", "--format", "docker", *arguments, *mounts, "-t", "hybridmq", str(ROOT))

    def open(self) -> None:
        self._container = self.buildah("from", "localhost/hybridmq")
        self.root = Path(self.buildah("mount", self._container))

    def close(self) -> None:
        self.buildah("rm", self._container)

    @property
    def built(self) -> bool:
        return "localhost/hybridmq" in self.buildah("images", "--format", "{{.Name}}")

    def remove(self) -> None:
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")

    def config(self) -> dict[str, Any]:
        told = json.loads(self.buildah("inspect", "--type", "image", "hybridmq"))
        config: dict[str, Any] = told["OCIv1"]["config"]
        return config

    def buildah(self, *arguments: str) -> str:
        return _run([*self._buildah, *arguments])

    def command(self, *arguments: str, env: dict[str, str] | None = None) -> list[str]:
        """Runs in it as Kubernetes would: as its user, on a root file system that is read-only, with a /tmp."""
        root = str(self.root)
        prepare = [
            f"mount --bind {root} {root}",
            f"mount -o remount,bind,ro {root}",
            f"mount -t tmpfs tmpfs {root}/tmp",
            f"mount -t tmpfs tmpfs {root}/dev",
            f"touch {root}/dev/urandom {root}/dev/null",
            f"mount --bind /dev/urandom {root}/dev/urandom",
            f"mount --bind /dev/null {root}/dev/null",
            f"mount -t proc proc {root}/proc",
        ]
        told = [f"{name}={value}" for name, value in (env or {}).items()]
        # What the image's own configuration says; chroot itself knows neither.
        user, path = self.config()["User"], self.config()["Env"]
        inside = f'exec chroot --userspec={user} {root} /usr/bin/env -i -C /app "$@"'
        script = " && ".join([*prepare, inside])
        return ["unshare", "--mount", "bash", "-c", script, "image", *path, *told, *arguments]

    def run(self, *arguments: str) -> str:
        """What it prints, errors among it, whatever its end."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def _run(command: list[str]) -> str:
    env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def _of_this_machine() -> Iterator[str]:
    """Certificates, and folders of packages that pip is told of here."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    folders = {str(Path(found).parent if found.endswith("simple") else found) for found in _paths(told)}
    for path in ("/etc/ssl/certs", "/etc/pip.conf", *sorted(folders)):
        if Path(path).exists():
            yield path


def _paths(text: str) -> list[str]:
    return [found for found in re.findall(r"(?:file://|')(/[^\s']+)", text) if Path(found).is_dir()]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (make image installs them, as root)")
    if os.geteuid() != 0:
        pytest.skip("buildah without Docker needs root here, for its chroot isolation")
    kept = os.environ.get(
        "IMAGE_STORAGE"
    )  # where an image stays from run to run, for whoever works on these tests
    built = Image(Path(kept) if kept else tmp_path_factory.mktemp("image"))
    if not (kept and built.built):
        built.build()
    built.open()
    yield built
    built.close()
    if not kept:
        built.remove()
