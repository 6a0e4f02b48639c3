"""`make rotate-key`: a new key-encryption key for the running platform; killed anywhere, the next one goes on.

The key file holds the new key before anything is sealed with it, and the old one until nothing is.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.environment import KEY_ENCRYPTION
from deploy.local.requests import ask_restart
from deploy.local.secrets import Secrets, write_private
from deploy.local.stack import ROOT

PATIENCE_S = 120.0
"""For a restart of the credentials service on a busy machine."""

STALLED_S = 60.0
"""No progress for so long: something else is wrong, and the old key stays."""

LOOK_EVERY_S = 0.3


class RotationFailed(RuntimeError):
    """Nothing is lost: both keys are in the file."""


def main() -> int:
    """The exit code."""
    state = Path(os.environ.get("HYBRIDMQ_STATE", ROOT / ".local")).resolve()
    if not (state / "run.json").exists():
        print(f"no platform runs: {state}/run.json is not there; start it with `make run`", file=sys.stderr)
        return 1
    try:
        rotate(state)
    except RotationFailed as failure:
        print(f"{failure}. Nothing is lost; `make rotate-key` goes on from here.", file=sys.stderr)
        return 1
    return 0


def rotate(state: Path) -> None:
    """Returns when the new key is the only one. Raises RotationFailed."""
    path = Secrets(state / "secrets").key_file(KEY_ENCRYPTION)
    keys = path.read_text().split(",")
    if len(keys) == 1:
        name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}"
        keys.insert(0, f"{name}:{base64.b64encode(os.urandom(32)).decode()}")
        write_private(path, ",".join(keys))
        print(f"made key {name}")
    else:
        print(f"going on with key {_id(keys[0])}")
    _restart(state, ids=len(keys), current=_id(keys[0]))
    left = _rewrap(state)
    if left["unreadable"]:
        raise RotationFailed(
            f"{left['unreadable']} secrets open with none of the keys: see the credentials service's log"
        )
    write_private(path, keys[0])
    _restart(state, ids=1, current=_id(keys[0]))
    print(f"the old key is dropped; {left['rewrapped']} secrets are sealed with {_id(keys[0])}")


def _id(entry: str) -> str:
    return entry.rpartition(":")[0]


def _restart(state: Path, *, ids: int, current: str) -> None:
    """The credentials service, with the keys that the file holds now."""
    ask_restart(state, "credentials")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        held = _ask(state, "GET")
        if held is not None and held["current"] == current and len(held["keys"]) == ids:
            return
        time.sleep(LOOK_EVERY_S)
    raise RotationFailed("the credentials service did not come back with its keys")


def _rewrap(state: Path) -> dict[str, Any]:
    fewest, moved = sys.maxsize, time.monotonic()
    while time.monotonic() - moved < STALLED_S:
        held = _ask(state, "POST")
        if held is not None:
            print(f"{held['left']} left on the old key", flush=True)
            if held["left"] == 0:
                return held
            if held["left"] < fewest:
                fewest, moved = held["left"], time.monotonic()
        time.sleep(LOOK_EVERY_S)
    raise RotationFailed("secrets are left on the old key")


def _ask(state: Path, method: str) -> dict[str, Any] | None:
    """How it stands; None while nobody answers."""
    try:
        run = json.loads((state / "run.json").read_text())
        request = urllib.request.Request(
            f"{run['gateway']}/v1/secrets/rotate",
            method=method,
            headers={"Authorization": f"Bearer {run['admin_key']}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code < 500:
            raise RotationFailed(f"{error.code}: {error.read().decode(errors='replace')}") from error
        return None
    except (OSError, ValueError):
        return None  # restarting


if __name__ == "__main__":
    sys.exit(main())
