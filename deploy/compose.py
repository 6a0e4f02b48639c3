"""`python -m deploy.compose`: writes what compose.yaml mounts into .compose/: secrets, certificates, nats.conf. Once.

The secrets, settings and nats.conf are those of Kubernetes (deploy/k8s), with one NATS server in place of three.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.k8s import certificates, nats_conf, secrets

FOLDER = Path(__file__).parents[1] / ".compose"


def write(folder: Path) -> None:
    """Raises FileExistsError where there is an installation already: its keys are worth its data."""
    folder.mkdir(
        mode=0o700
    )  # nobody else gets in; below it everybody may read, whatever a container's user is
    for name, values in {**secrets.make(), **certificates.make()}.items():
        (folder / name).mkdir()
        for key, value in values.items():
            (folder / name / key).write_text(value)
    users = (folder / "nats-users").iterdir()
    (folder / "nats.env").write_text("".join(f"{path.name}={path.read_text()}\n" for path in sorted(users)))
    (folder / "nats.conf").write_text(nats_conf.text(alone=True))


def main() -> None:
    try:
        write(FOLDER)
    except FileExistsError:
        sys.exit(f"{FOLDER} is there already: an installation keeps its secrets")
    sys.stdout.write(f"{FOLDER} is written; the admin key is in hybridmq-credentials/admin-key\n")


if __name__ == "__main__":
    main()
