"""External broker (Mosquitto) → one ingest process → log: sustained rate, time to the log, CPU a message.

    make bench ONLY=bridge ARGS="--messages 100000 --rate 12000"

QoS 1 both ways, payloads of 100 bytes and of 1 KiB, plain, by TLS and by WebSocket. First as fast as it goes,
then at a steady rate, for the time from the device's send to the moment when the log stored it. The load
generator, the broker and nats-server have the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu import Meter
from contracts.broker_topics import TopicFilter
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from deploy.local.stack import ROOT
from runtime.pull import Pull
from tests.ingest.conftest import World, open_world
from tests.support.certificates import make_certificates
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_wire import packet, text
from tests.support.service import Service

DEVICES, UNDER_WAY, CHUNK = 1_000, 1_000, 50
SIZES = (100, 1_024)
WAYS = ("plain", "tls", "ws")
WARM_UP = 2_000
# More than its own 20, which would be a bound of 20 messages a round trip.
BROKER = {
    "max_inflight_messages": "1000",
    "autosave_interval": "0",
    "autosave_on_changes": "false",
    "log_type": "error",
}


@dataclass(frozen=True)
class Flood:
    """What the generator sends; `rate` 0: as fast as it is acknowledged."""

    port: int
    size: int
    messages: int
    rate: float
    first: int


@dataclass(frozen=True)
class Run:
    name: str
    messages: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: dict[str, float]
    lost: int
    doubled: int

    def __str__(self) -> str:
        cpu = "  ".join(f"{name} {spent:4.1f}" for name, spent in self.cpu_us.items())
        return (
            f"{self.name:<22}{self.rate:>8,.0f} msg/s  p50 {self.p50_ms:6.1f}  p99 {self.p99_ms:6.1f}"
            f"  max {self.max_ms:6.1f} ms  CPU µs {cpu}  lost {self.lost}, doubled {self.doubled}"
        )


def main(arguments: list[str]) -> int:
    """0 when nothing was lost or doubled."""
    if arguments[:1] == ["--flood"]:
        flood(Flood(**json.loads(arguments[1])))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks bridge", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=12_000)
    parser.add_argument("--seconds", type=float, default=8, help="of the steady rate")
    parser.add_argument("--ways", default=",".join(WAYS))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as name:
        runs = asyncio.run(_measure(Path(name), options))
    return int(any(run.lost or run.doubled for run in runs))


async def _measure(folder: Path, options: argparse.Namespace) -> list[Run]:
    server = NatsServer(
        folder / "nats",
        NatsPorts(free_port(), free_port(), free_port(), free_port()),
        Secrets(folder / "secrets"),
    )
    certificates = make_certificates(folder / "certificates")
    broker = Mosquitto(folder / "broker", certificates=certificates, websocket=True, settings=BROKER)
    ports = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
    urls = DatabaseUrls("unused", "unused", "unused")
    env = environment.services(server, urls, Secrets(folder / "more"), ports)["ingest"]
    ingest = Service("ingest", {**env, "LOG_LEVEL": "WARNING"}, folder / "ingest.log")
    runs = []
    try:
        server.start()
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "runtime.provision"],
            check=True,
            env=environment.provision(server),
            cwd=ROOT,
        )
        broker.start()
        ingest.start()
        pids = {"ingest": ingest.process.pid, "nats": server.process.pid, "broker": broker.process.pid}
        ways: dict[str, dict[str, Any]] = {
            "plain": {"port": broker.port},
            "tls": {
                "port": broker.tls_port,
                "protocol": "mqtts",
                "host": "localhost",
                "tls": {"ca": certificates.authority.read_text()},
            },
            "ws": {"port": broker.websocket_port, "protocol": "ws", "path": "/mqtt"},
        }
        async with open_world(server) as world, platform_client(server, "telemetry") as reader:
            first = 0
            for way in options.ways.split(","):
                link = await world.create(topics=(TopicFilter(filter="devices/#"),), **ways[way])

                async def up() -> bool:
                    return await _state(world) == "up"

                await eventually(up, timeout_s=20, every_s=0.2)
                await _run("", reader, world, link, Flood(broker.port, 100, WARM_UP, 0, first), pids)
                first += WARM_UP
                for size in SIZES:
                    for rate, count in (
                        (0.0, options.messages),
                        (options.rate, int(options.rate * options.seconds)),
                    ):
                        pace = f"at {rate:,.0f}/s" if rate else "at full speed"
                        name = f"{way} {size} B {pace}"
                        runs.append(
                            await _run(
                                name, reader, world, link, Flood(broker.port, size, count, rate, first), pids
                            )
                        )
                        first += count
                        print(runs[-1], flush=True)
                await world.delete(link)
                await eventually(lambda: asyncio.sleep(0.5, True), timeout_s=5)
    finally:
        ingest.process.stop()
        broker.stop()
        server.stop()
    return runs


async def _state(world: World) -> str:
    kinds = [kind for kind in await world.kinds() if kind in ("link.up", "link.down", "link.refused")]
    return kinds[-1].removeprefix("link.") if kinds else "connecting"


async def _run(name: str, reader: Any, world: World, link: str, load: Flood, pids: dict[str, int]) -> Run:
    meter = Meter(pids)
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bridge", "--flood", json.dumps(asdict(load)), cwd=ROOT
    )
    assert await generator.wait() == 0
    numbers: Counter[int] = Counter()
    delays: list[float] = []
    began, last = 1 << 63, 0
    filters = (f"message.*.{world.organization}.{link}", f"message.*.{world.organization}.{link}.>")
    deadline = time.monotonic() + 30
    cpu: dict[str, float] = {}
    while len(numbers) < load.messages and time.monotonic() < deadline:
        await asyncio.sleep(0.5)  # what is on its way is stored before reading competes with it
        cpu = meter.read()
        numbers.clear()
        delays.clear()
        pull = Pull(reader, "MESSAGES", start=1, filters=filters, name="bench")
        try:
            while batch := await pull.next_batch(5_000, timeout_s=1):
                for entry in batch:
                    sent, number = int(entry.data[:20]), int(entry.data[20:30])
                    if load.first <= number < load.first + load.messages:
                        numbers[number] += 1
                        delays.append((entry.time_ns - sent) / 1e6)
                        began, last = min(began, sent), max(last, entry.time_ns)
                if batch[-1].pending == 0:
                    break
        finally:
            await pull.close()
    delays.sort()
    return Run(
        name=name,
        messages=load.messages,
        rate=len(numbers) / ((last - began) / 1e9),
        p50_ms=statistics.median(delays),
        p99_ms=delays[int(0.99 * len(delays))],
        max_ms=delays[-1],
        cpu_us={name: 1e6 * spent / load.messages for name, spent in cpu.items()},
        lost=load.messages - len(numbers),
        doubled=sum(count - 1 for count in numbers.values()),
    )


def flood(load: Flood) -> None:
    """A QoS 1 publisher over a raw socket: each message begins with the time of its sending and its number."""
    connection = socket.create_connection((LOOPBACK, load.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = text("MQTT") + bytes((4, 2)) + (60).to_bytes(2, "big") + text(f"flood-{load.first}")
    connection.sendall(packet(0x10, login))
    assert connection.recv(4) == b"\x20\x02\x00\x00"
    heads = [text(f"devices/d{device}/telemetry") for device in range(DEVICES)]
    padding = b"x" * (load.size - 30)
    sent = acknowledged = 0
    began = time.perf_counter()
    while acknowledged < 4 * load.messages:
        if sent < load.messages and sent - acknowledged // 4 <= UNDER_WAY - CHUNK:
            if load.rate and (ahead := sent / load.rate - (time.perf_counter() - began)) > 0:
                time.sleep(ahead)
            count = min(CHUNK, load.messages - sent)
            now = b"%020d" % time.time_ns()
            connection.sendall(
                b"".join(
                    [
                        packet(
                            0x32,
                            heads[number % DEVICES]
                            + (number % 60_000 + 1).to_bytes(2, "big")
                            + now
                            + b"%010d" % (load.first + number)
                            + padding,
                        )
                        for number in range(sent, sent + count)
                    ]
                )
            )
            sent += count
            wait_s = 0.0
        else:
            wait_s = 30.0
        if select.select([connection], [], [], wait_s)[0]:
            acknowledged += len(connection.recv(65_536))
    connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
