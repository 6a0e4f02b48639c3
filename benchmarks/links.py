"""Many links in one ingest process, and how long a link is without an owner when its process is killed.

    make bench ONLY=links ARGS="--links 200 --rate 50 --kills 5"

One Mosquitto plays all the brokers: each link has a session and a filter of its own. QoS 1 both ways. The load
generator, the broker and nats-server have the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.cpu import Meter
from contracts.broker_topics import TopicFilter
from contracts.envelope import TIME
from contracts.failures import Failure
from contracts.links import GET_STATUS, LinkStatus
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from deploy.local.stack import ROOT
from runtime.pull import Entry, Pull
from tests.ingest.conftest import World, open_world
from tests.support.clients import platform_client
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_wire import packet, text
from tests.support.service import Service

IDLE_S = 10.0
UNDER_WAY = 2_000  # of the generator, unacknowledged: past that it waits, and the rate is not kept
DRAIN_S = 60.0
UP_S = 120.0
BROKER = {"max_inflight_messages": "100", "autosave_interval": "0", "log_type": "error", "sys_interval": "10"}


@dataclass(frozen=True)
class Flood:
    port: int
    links: int
    rate: float  # of all together, a second
    messages: int


def main(arguments: list[str]) -> int:
    """0 when nothing was lost or doubled."""
    if arguments[:1] == ["--flood"]:
        flood(Flood(**json.loads(arguments[1])))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks links", description=__doc__)
    parser.add_argument("--links", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50, help="messages a second of each link")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as name:
        return asyncio.run(_measure(Path(name), options))


async def _measure(folder: Path, options: argparse.Namespace) -> int:
    server = NatsServer(
        folder / "nats",
        NatsPorts(free_port(), free_port(), free_port(), free_port()),
        Secrets(folder / "secrets"),
    )
    broker = Mosquitto(folder / "broker", settings=BROKER)
    ingest: list[Service] = []
    try:
        _start(server, broker)
        ingest.append(_replica(folder, server, 0))
        async with open_world(server) as world:
            lost = await _many(world, server, broker, ingest[0], options)
            ingest.append(_replica(folder, server, 1))
            await _hand_over(world, ingest, options.kills)
    finally:
        for service in ingest:
            service.process.stop()
        broker.stop()
        server.stop()
    return int(lost > 0)


def _start(server: NatsServer, broker: Mosquitto) -> None:
    server.start()
    provision = [sys.executable, "-m", "runtime.provision"]
    env = {**os.environ, **environment.provision(server), "LOG_LEVEL": "WARNING"}
    subprocess.run(provision, check=True, env=env, cwd=ROOT)
    broker.start()


def _replica(folder: Path, server: NatsServer, number: int) -> Service:
    ports = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
    urls = DatabaseUrls("unused", "unused", "unused")
    env = environment.services(server, urls, Secrets(folder / f"secrets{number}"), ports)["ingest"]
    service = Service("ingest", env, folder / f"ingest{number}.log")
    service.start()
    return service


_links: list[str] = []


async def _many(
    world: World, server: NatsServer, broker: Mosquitto, ingest: Service, options: argparse.Namespace
) -> int:
    pids = {"ingest": ingest.process.pid, "nats": server.process.pid, "broker": broker.process.pid}
    process = psutil.Process(ingest.process.pid)
    empty = process.memory_info().rss
    begun = time.monotonic()
    for number in range(options.links):
        topics = (TopicFilter(filter=f"link{number}/#"),)
        _links.append(await world.create(broker.port, topics=topics))
    await _up(world)
    print(f"{options.links} links created and up in {time.monotonic() - begun:.1f} s")
    await asyncio.sleep(2)
    meter = Meter(pids)
    await asyncio.sleep(IDLE_S)
    spent = {name: seconds / IDLE_S * 100 for name, seconds in meter.read().items()}
    memory = process.memory_info().rss
    print(
        f"idle: {memory / 2**20:.0f} MiB, {(memory - empty) / options.links / 1024:.0f} KiB a link;"
        f" CPU of one core: " + ", ".join(f"{name} {share:.1f} %" for name, share in spent.items())
    )
    rate = options.rate * options.links
    load = Flood(broker.port, options.links, rate, int(rate * options.seconds))
    meter = Meter(pids)
    began = time.time_ns()
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.links", "--flood", json.dumps(asdict(load)), cwd=ROOT
    )
    assert await generator.wait() == 0
    deadline = time.monotonic() + DRAIN_S
    while await _taken(world) < load.messages and time.monotonic() < deadline:  # noqa: ASYNC110 — it is asked for
        await asyncio.sleep(0.5)
    await asyncio.sleep(1)
    cpu = {name: seconds / load.messages * 1e6 for name, seconds in meter.read().items()}
    return await _report(world, server, load, cpu, began, process)


async def _taken(world: World) -> int:
    asked = await asyncio.gather(*(_status(world, link) for link in _links))
    return sum(each.messages_in for each in asked if each is not None and not each.in_flight)


async def _report(
    world: World, server: NatsServer, load: Flood, cpu: dict[str, float], began: int, process: psutil.Process
) -> int:
    numbers: Counter[int] = Counter()
    delays: list[float] = []
    taken: list[float] = []  # from ingest's socket to the log
    first, last = 1 << 63, 0
    async with platform_client(server, "telemetry") as reader:
        pull = Pull(reader, "MESSAGES", start=1, filters=(f"message.*.{world.organization}.*",), name="bench")
        while batch := await pull.next_batch(5_000, timeout_s=2):
            for entry in batch:
                sent = int(entry.data[:20])
                if sent >= began:
                    numbers[int(entry.data[20:30])] += 1
                    delays.append((entry.time_ns - sent) / 1e6)
                    taken.append((entry.time_ns - _taken_ns(entry)) / 1e6)
                    first, last = min(first, sent), max(last, entry.time_ns)
            if batch[-1].pending == 0:
                break
        await pull.close()
    delays.sort()
    taken.sort()
    lost, doubled = load.messages - len(numbers), sum(count - 1 for count in numbers.values())
    print(
        f"{load.links} links at {load.rate / load.links:g} msg/s: {len(numbers) / ((last - first) / 1e9):,.0f} msg/s of"
        f" {load.rate:,.0f}; to the log p50 {statistics.median(delays):.1f}, p99 {delays[int(0.99 * len(delays))]:.1f},"
        f" max {delays[-1]:.1f} ms, of which in ingest and the log p50 {statistics.median(taken):.1f},"
        f" p99 {taken[int(0.99 * len(taken))]:.1f} ms; {process.memory_info().rss / 2**20:.0f} MiB; CPU µs a message "
        + ", ".join(f"{name} {spent:.1f}" for name, spent in cpu.items())
        + f"; lost {lost}, doubled {doubled}",
        flush=True,
    )
    return lost + doubled


def _taken_ns(entry: Entry) -> int:
    return int(datetime.fromisoformat(entry.headers[TIME]).timestamp() * 1e9)


async def _hand_over(world: World, replicas: list[Service], kills: int) -> None:
    """Kills the replica with the most links, again and again, and asks each link that it had since when it is up."""
    took: list[float] = []
    for _ in range(kills):
        before = await _shared(world, len(replicas))
        [(victim, _)] = Counter(found.owner for found in before.values()).most_common(1)
        service = next(each for each in replicas if victim and victim in each.process.log.read_text())
        killed = datetime.now(UTC)
        service.process.kill()
        after = await _up(world)
        gaps = [
            (after[link].connected_since - killed).total_seconds()  # type: ignore[operator]
            for link, found in before.items()
            if found.owner == victim
        ]
        took += gaps
        print(
            f"kill -9 with {len(gaps)} of {len(before)} links: up again after"
            f" p50 {statistics.median(gaps):.2f}, max {max(gaps):.2f} s",
            flush=True,
        )
        await asyncio.to_thread(service.start)
    print(f"hand-over, {len(took)} links: p50 {statistics.median(took):.2f}, max {max(took):.2f} s")


async def _up(world: World) -> dict[str, LinkStatus]:
    """Every link's status when all are up."""
    return await _until(world, lambda found: len(found) == len(_links))


async def _shared(world: World, replicas: int) -> dict[str, LinkStatus]:
    def settled(found: dict[str, LinkStatus]) -> bool:
        owners = Counter(each.owner for each in found.values())
        fair = len(_links) // replicas * 2 // 3
        return len(found) == len(_links) and len(owners) == replicas and min(owners.values()) >= fair

    return await _until(world, settled)


async def _until(world: World, so: object) -> dict[str, LinkStatus]:
    assert callable(so)
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline:
        asked = await asyncio.gather(*(_status(world, link) for link in _links))
        found = {each.integration_id: each for each in asked if each is not None and each.connected_since}
        if so(found):
            return found
        await asyncio.sleep(0.5)
    raise TimeoutError(f"{len(found)} of {len(_links)} links are up")


async def _status(world: World, link: str) -> LinkStatus | None:
    try:
        found: LinkStatus = await world.ask_link(GET_STATUS, link)
    except Failure:
        return None
    return found


def flood(load: Flood) -> None:
    """A QoS 1 publisher over a raw socket, at a steady rate; each message begins with its time and number."""
    connection = socket.create_connection((LOOPBACK, load.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(packet(0x10, text("MQTT") + bytes((4, 2)) + (60).to_bytes(2, "big") + text("flood")))
    assert connection.recv(4) == b"\x20\x02\x00\x00"
    connection.setblocking(False)
    heads = [text(f"link{number}/devices/d1/telemetry") for number in range(load.links)]
    filling = b" " * 70
    sent, acknowledged, out = 0, 0, b""
    begun = time.monotonic()
    while acknowledged < 4 * load.messages:
        due = min(load.messages, int((time.monotonic() - begun) * load.rate) + 1)
        while sent < due and sent - acknowledged // 4 < UNDER_WAY and len(out) < 1 << 14:
            mid = (sent % 65_535 + 1).to_bytes(2, "big")
            body = b"%020d%010d" % (time.time_ns(), sent) + filling
            out += packet(0x32, heads[sent % load.links] + mid + body)
            sent += 1
        readable, writable, _ = select.select([connection], [connection] if out else [], [], 0.005)
        if readable:
            acknowledged += len(connection.recv(1 << 16))
        if writable:
            out = out[connection.send(out) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
