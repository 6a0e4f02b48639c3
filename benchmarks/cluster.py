"""What copies cost: hosted QoS 1 into MESSAGES with one server, with three, and with three copies of every stream.

    make bench ONLY=cluster ARGS="--messages 60000"

All servers, and the load generators, share this machine: the ratio of msg/s is the worst that a cluster does; CPU per
message and the time to a PUBACK say what servers of their own would. TLS everywhere, as in Kubernetes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

from benchmarks import flood
from benchmarks.cpu import Meter
from benchmarks.hosted import RESULTS
from deploy.local.nats import DEVICES_MQTT_USER
from deploy.local.ports import LOOPBACK
from deploy.local.stack import ROOT
from runtime.jetstream import stream_state
from tests.support.nats_cluster import NatsCluster

SHAPES = {"1 server": (1, 1), "3 servers, 1 copy": (3, 1), "3 servers, 3 copies": (3, 3)}
WARM_UP = 5_000
ALONE = 500  # publishes of which each waits for the PUBACK of the one before


@dataclass(frozen=True)
class Found:
    shape: str
    messages: int
    lost: int
    seconds: float
    puback_ms: dict[str, float]
    cpu_us_per_message: dict[str, float]

    @property
    def messages_per_second(self) -> float:
        return self.messages / self.seconds


def main(arguments: list[str]) -> int:
    """0 when all that was acknowledged came into the log."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cluster", description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--workers", type=int, default=3, help="load generators, a process each")
    parser.add_argument("--seconds", type=float, default=60, help="bound of each flood")
    options = parser.parse_args(arguments)
    found = [_measured(shape, options) for shape in SHAPES]
    print(f"\n{'':<22}{'msg/s':>8}{'ratio':>7}{'PUBACK p50':>12}{'p99':>8}  CPU µs a message")
    for one in found:
        ratio = one.messages_per_second / found[0].messages_per_second
        costs = "  ".join(f"{name} {cost:.0f}" for name, cost in one.cpu_us_per_message.items())
        print(
            f"{one.shape:<22}{one.messages_per_second:>8,.0f}{ratio:>7.2f}{one.puback_ms['p50']:>9.1f} ms"
            f"{one.puback_ms['p99']:>5.1f} ms  {costs}"
        )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-cluster.json"
    told = [{**asdict(one), "messages_per_second": one.messages_per_second} for one in found]
    path.write_text(json.dumps({"options": vars(options), "load": os.getloadavg(), "runs": told}, indent=2))
    print(f"written to {path}")
    return int(any(one.lost for one in found))


def _measured(shape: str, options: argparse.Namespace) -> Found:
    servers, copies = SHAPES[shape]
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as folder:
        cluster = NatsCluster(Path(folder), servers=servers, copies=copies)
        try:
            cluster.start()
            environment = {**os.environ, **cluster.provision()}
            subprocess.run(
                [sys.executable, "-m", "runtime.provision"],
                env=environment,
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            return _flooded(shape, cluster, options)
        finally:
            cluster.stop()


def _flooded(shape: str, cluster: NatsCluster, options: argparse.Namespace) -> Found:
    floods = [
        flood.Flood(
            host=LOOPBACK,
            port=cluster.servers[worker % len(cluster.servers)].ports.mqtt,
            topic_prefix="org_abcdefgh12345678/devices",
            client_id=f"flood-{worker}",
            username=DEVICES_MQTT_USER,
            password=cluster.seeds.mqtt_password,
            worker=worker,
            messages=options.messages // options.workers,
            seconds=options.seconds,
            authority=str(cluster.authority),
        )
        for worker in range(1, options.workers + 1)
    ]
    _run([replace(floods[0], worker=98, client_id="warm", messages=WARM_UP)])
    alone = sorted(_alone(replace(floods[0], worker=99, client_id="alone", window=1)))
    before = asyncio.run(_in_the_log(cluster, WARM_UP + ALONE, options.seconds))
    meter = Meter({server.name: server.process.pid for server in cluster.servers})
    reports = _run(floods)
    acknowledged = sum(report.acknowledged for report in reports)
    held = asyncio.run(_in_the_log(cluster, before + acknowledged, options.seconds))
    seconds = time.time() - min(report.started for report in reports)
    cpu = {**meter.read(), "generator": sum(report.cpu_seconds for report in reports)}
    return Found(
        shape,
        acknowledged,
        before + acknowledged - held,
        seconds,
        {"p50": alone[len(alone) // 2] * 1e3, "p99": quantiles(alone, n=100)[98] * 1e3},
        {name: spent / acknowledged * 1e6 for name, spent in cpu.items()},
    )


def _run(floods: list[flood.Flood]) -> list[flood.Report]:
    return flood.finish(flood.start(floods), floods[0].seconds + 60)


def _alone(settings: flood.Flood) -> list[float]:
    """Seconds from a publish to its PUBACK, with nothing else under way."""
    connection, window = flood.Connection(settings), flood.Window(settings, 0)
    took = []
    for number in range(ALONE):
        window.renumber(flood.SEQUENCE_BASE + settings.worker * flood.WORKER_STEP + number)
        started = time.perf_counter()
        connection.socket.sendall(window.buffer)
        connection.await_acknowledgements(window)
        took.append(time.perf_counter() - started)
    connection.close()
    return took


async def _in_the_log(cluster: NatsCluster, wanted: int, patience_s: float) -> int:
    """How many MESSAGES has, once it has as many as are wanted, or after a while without them."""
    deadline = time.monotonic() + patience_s
    async with cluster.client("provision") as client:
        while True:
            held = (await stream_state(client, "MESSAGES")).last
            if held >= wanted or time.monotonic() > deadline:
                return held
            await asyncio.sleep(0.02)
