"""What the image holds, as CycloneDX 1.6 on standard output: Python packages, the console's, the base's.

Runs inside the build, with nothing but the standard library. Argument: the console's package-lock.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any


def python_packages() -> Iterator[dict[str, Any]]:
    """What is installed in this environment."""
    for package in metadata.distributions():
        name = package.metadata["Name"].lower().replace("_", "-")
        yield _component(name, package.version, f"pkg:pypi/{name}@{package.version}")


def console_packages(lock: Path) -> Iterator[dict[str, Any]]:
    """What a browser is sent, or may be: what only builds is left out."""
    for path, package in json.loads(lock.read_text())["packages"].items():
        if path and not package.get("dev"):
            name = path.rpartition("node_modules/")[2]
            purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
            yield _component(name, package["version"], purl)


def debian_packages() -> Iterator[dict[str, Any]]:
    """Of the base."""
    form = "${Package} ${Version} ${Architecture}\n"
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True
    ).stdout
    for line in listed.splitlines():
        name, version, architecture = line.split()
        yield _component(name, version, f"pkg:deb/debian/{name}@{version}?arch={architecture}")


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def main() -> None:
    components = [*python_packages(), *console_packages(Path(sys.argv[1])), *debian_packages()]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "hybridmq"}},
        # The same packages give the same bytes: no time, no serial number.
        "components": sorted(components, key=lambda component: component["purl"]),
    }
    json.dump(document, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
