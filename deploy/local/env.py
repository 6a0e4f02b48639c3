"""`eval "$(python -m deploy.local.env)"`: the addresses of the running platform as shell variables."""

import json
import os
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.stack import ROOT


def main() -> int:
    """Prints `export` lines; 1 when no platform runs."""
    run_file = Path(os.environ.get("HYBRIDMQ_STATE", ROOT / ".local")) / "run.json"
    if not run_file.exists():
        print(f"no platform runs: {run_file} is not there; start it with `make run`", file=sys.stderr)
        return 1
    run = json.loads(run_file.read_text())
    mqtt, websocket = urlsplit(run["mqtt"]), urlsplit(run["mqtt_ws"])
    mqtts, wss = urlsplit(run["mqtts"]), urlsplit(run["mqtt_wss"])
    variables = {
        "GATEWAY": run["gateway"],
        "ADMIN_KEY": run["admin_key"],
        "MQTT_HOST": mqtt.hostname,
        "MQTT_PORT": mqtt.port,
        "MQTT_WS_PORT": websocket.port,
        "MQTTS_PORT": mqtts.port,
        "MQTT_WSS_PORT": wss.port,
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(str(value))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
