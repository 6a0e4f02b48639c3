"""`make rebuild`: all read models of the running platform anew from its logs; Ctrl-C leaves it to itself."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from deploy.local.stack import ROOT

LOOK_EVERY_S = 1.0


def main() -> int:
    """The exit code: 0 where the read models are exchanged."""
    state = Path(os.environ.get("HYBRIDMQ_STATE", ROOT / ".local")).resolve()
    if not (state / "run.json").exists():
        print(f"no platform runs: {state}/run.json is not there; start it with `make run`", file=sys.stderr)
        return 1
    try:
        return follow(state)
    except KeyboardInterrupt:
        print("\nthe rebuild goes on; `make rebuild` shows it again")
        return 0


def follow(state: Path) -> int:
    status, answer = _ask(state, "POST")
    if status == 409:
        print("a rebuild is under way")
    elif status != 202:
        print(f"{status}: {answer.get('detail')}", file=sys.stderr)
        return 1
    while True:
        status, answer = _ask(state, "GET")
        held = answer.get("rebuild")
        if status == 200 and held is not None:
            print(_line(held), flush=True)
            if held["finished_at"] is not None:
                return _end(held)
        time.sleep(LOOK_EVERY_S)


def _line(held: dict[str, Any]) -> str:
    rate, left = held["points_per_s"], held["left_s"]
    parts = [held["state"], f"{held['messages']:,} messages", f"{held['points']:,} points"]
    if held["carried"]:
        parts.append(f"{held['carried']:,} rows carried over")
    if rate is not None:
        parts.append(f"{rate:,.0f} points/s")
    if left is not None:
        parts.append(f"{left:,.0f} s left")
    return ", ".join(parts)


def _end(held: dict[str, Any]) -> int:
    if held["state"] != "done":
        print(f"{held['state']}: {held['error'] or 'what serves is as it was'}", file=sys.stderr)
        return 1
    different = [name for name, found in held["comparison"].items() if not found["equal"]]
    for name, found in sorted(held["comparison"].items()):
        word = "equal" if found["equal"] else "different"
        print(f"  {name:<24}{found['rows']:>12,} rows, {found['rows_anew']:>12,} anew: {word}")
    print("exchanged: " + ("all equal" if not different else f"different were {', '.join(different)}"))
    return 0


def _ask(state: Path, method: str) -> tuple[int, dict[str, Any]]:
    """Status and body; 503 while nobody answers."""
    try:
        run = json.loads((state / "run.json").read_text())
        request = urllib.request.Request(
            f"{run['gateway']}/v1/admin/rebuild",
            method=method,
            headers={"Authorization": f"Bearer {run['admin_key']}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
    except (OSError, ValueError) as error:
        return 503, {"detail": repr(error)}


if __name__ == "__main__":
    sys.exit(main())
