"""`make demo`: simulated devices publish to the running platform until Ctrl-C."""

import argparse
import asyncio
import json
import math
import os
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

from deploy.local.secrets import write_private
from deploy.local.stack import ROOT

ORGANIZATION = "demo"
RECONNECT_AFTER_S = 1.0


@dataclass(frozen=True)
class Api:
    """The gateway as one caller sees it."""

    gateway: str
    key: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer; HTTPError carries a refusal."""
        request = urllib.request.Request(
            f"{self.gateway}/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@dataclass
class Progress:
    """What the devices did."""

    acknowledged: int = 0
    connected: int = 0
    failures: list[str] = field(default_factory=list)


def credentials(run: dict[str, str], held_in: Path, count: int) -> list[dict[str, Any]]:
    """One credential a device, of the organization "demo": made once, then read from `held_in`."""
    held = json.loads(held_in.read_text()) if held_in.exists() else {}
    if not held:
        made = Api(run["gateway"], run["admin_key"]).call("POST", "/organizations", {"name": ORGANIZATION})
        held = {"organization": made["id"], "api_key": made["api_key"]["secret"], "devices": []}
        write_private(held_in, json.dumps(held))
        print(f"Created the organization {made['id']}; its API key is {held['api_key']}")
    api = Api(run["gateway"], held["api_key"])
    for number in range(len(held["devices"]) + 1, count + 1):
        device = f"demo-{number:03}"
        credential = api.call("POST", "/credentials", {"name": device, "device_id": device})
        held["devices"].append({"device": device, **credential})
        write_private(held_in, json.dumps(held))
    return list(held["devices"][:count])


def reading(number: int, now: datetime) -> dict[str, Any]:
    """A day's course of weather with each device a little apart."""
    phase = now.timestamp() / 300 + number
    return {
        "temperature": round(21 + 4 * math.sin(phase), 2),
        "humidity": round(45 + 10 * math.cos(phase), 1),
        "co2": round(600 + 150 * math.sin(phase / 2)),
        "battery": round(100 - (now.timestamp() / 3600 + number) % 100, 1),
        "timestamp": now.isoformat(),
    }


async def simulate(
    number: int, device: dict[str, Any], mqtt: str, every_s: float, progress: Progress
) -> None:
    """Connects and publishes for ever, at QoS 1, with its status as will and retained message."""
    address = urlsplit(mqtt)
    base = f"{device['topic_prefix']}/devices/{device['device']}"
    while True:
        async with AsyncExitStack() as connected:
            try:
                client = await connected.enter_async_context(
                    aiomqtt.Client(
                        address.hostname or "127.0.0.1",
                        address.port or 1883,
                        username=device["username"],
                        password=device["password"],
                        identifier=device["client_id"],
                        protocol=aiomqtt.ProtocolVersion.V311,
                        will=aiomqtt.Will(f"{base}/status", b'{"status": "offline"}', qos=1, retain=True),
                    )
                )
                progress.connected += 1
                connected.callback(_disconnected, progress)
                await client.publish(f"{base}/status", b'{"status": "online"}', qos=1, retain=True)
                due = time.monotonic() + every_s * random.random()  # not all at once
                while True:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    # What was missed while the broker was slow is not made up for: the rate stays bounded.
                    due = max(due + every_s, time.monotonic())
                    payload = json.dumps(reading(number, datetime.now(UTC)))
                    await client.publish(f"{base}/telemetry", payload, qos=1)
                    progress.acknowledged += 1
            except aiomqtt.MqttError as error:
                progress.failures.append(f"{device['device']}: {error}")
        await asyncio.sleep(RECONNECT_AFTER_S)


async def report(progress: Progress) -> None:
    """A line each second."""
    began, before = time.monotonic(), 0
    while True:
        await asyncio.sleep(1)
        rate, before = progress.acknowledged - before, progress.acknowledged
        line = (
            f"{time.monotonic() - began:6.0f} s  {progress.connected} devices  "
            f"{rate} msg/s  {before} acknowledged"
        )
        if progress.failures:
            line += f"  {len(progress.failures)} failures, last: {progress.failures[-1]}"
            progress.failures.clear()
        print(line, flush=True)


async def demo(devices: Sequence[dict[str, Any]], mqtt: str, rate: float) -> None:
    """All devices together at `rate` messages a second."""
    progress = Progress()
    every_s = len(devices) / rate
    async with asyncio.TaskGroup() as group:
        for number, device in enumerate(devices):
            group.create_task(simulate(number, device, mqtt, every_s, progress))
        group.create_task(report(progress))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50, help="messages a second, all devices together")
    arguments = parser.parse_args()
    state = Path(os.environ.get("HYBRIDMQ_STATE", ROOT / ".local")).resolve()
    run_file = state / "run.json"
    if not run_file.exists():
        print(f"No platform runs in {state}: start it with `make run`.", file=sys.stderr)
        return 1
    run = json.loads(run_file.read_text())
    try:
        devices = credentials(run, state / "demo.json", arguments.devices)
        print(
            f"{len(devices)} devices publish to {run['mqtt']}; watch {run['gateway']}/console. Ctrl-C ends."
        )
        asyncio.run(demo(devices, run["mqtt"], arguments.rate))
    except urllib.error.HTTPError as refused:
        print(f"{refused.url}: {refused.code} {refused.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"{run['gateway']}: {error.reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


def _disconnected(progress: Progress) -> None:
    progress.connected -= 1


if __name__ == "__main__":
    sys.exit(main())
