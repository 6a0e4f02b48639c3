"""Readers of the live stream: a thousand at once, and from publish to event beside the log's load of others.

    make bench ONLY=live ARGS="--readers 1000 --organizations 10 --rate 500 --seconds 20"

Published is into MESSAGES as ingest does; the readers are plain sockets in a process of their own. All of it has the
same cores. Nothing may be lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import nats
import psutil
import uvloop
from nats.aio.client import Client

from benchmarks.cpu import Meter
from contracts import messages, subjects
from contracts.organizations import ALL_SCOPES, Principal
from contracts.secrets_format import mint
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from deploy.local.stack import ROOT
from tests.gateway.peers import Peers, started_peers
from tests.support.clients import platform_client
from tests.support.service import Service

DEVICES = 100  # of each organization
TICK_S = 0.005
DRAIN_S = 3.0
_SENT_NS = re.compile(rb'\\"t\\":(\d+)')
_ID = re.compile(rb"^id: (\d+)\nevent: ", re.MULTILINE)  # alone it says where the stream begins: no event


@dataclass(frozen=True)
class Crowd:
    """What the readers' process is told; it prints `open`, and one line of JSON when it is told to end."""

    port: int
    keys: list[str]
    readers: int


def main(arguments: list[str]) -> int:
    """0 when nothing was lost or doubled."""
    if arguments[:1] == ["--beside"]:
        url, seed, rate, seconds = json.loads(arguments[1])
        print(uvloop.run(beside(url, seed, rate, seconds)), flush=True)
        return 0
    if arguments[:1] == ["--crowd"]:
        print(json.dumps(uvloop.run(crowd(Crowd(**json.loads(arguments[1]))))), flush=True)
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks live", description=__doc__)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--organizations", type=int, default=10)
    parser.add_argument("--rate", type=float, default=500, help="messages a second of all that are read")
    parser.add_argument("--beside", type=float, default=10_000, help="messages a second that nobody reads")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as name:
        return uvloop.run(_measure(Path(name), options))


async def _measure(folder: Path, options: argparse.Namespace) -> int:
    ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
    server = NatsServer(folder / "nats", ports, Secrets(folder / "secrets"))
    gateway: Service | None = None
    organizations = [f"org_bench{number:011d}" for number in range(options.organizations)]
    try:
        _start(server)
        gateway = _gateway(folder, server)
        async with started_peers(server) as peers, platform_client(server, "ingest") as bus:
            keys = _keys(peers, organizations)
            run = _Run(server, gateway, bus, keys, organizations)
            lost = await run.measured("all read", options.readers, options.rate, 0, options.seconds)
            few = len(organizations)
            lost += await run.measured("one reader each", few, options.rate, 0, options.seconds)
            lost += await run.measured(
                "one each, others' load", few, options.rate, options.beside, options.seconds
            )
    finally:
        if gateway is not None:
            gateway.process.stop()
        server.stop()
    return int(lost > 0)


def _start(server: NatsServer) -> None:
    server.start()
    env = {**os.environ, **environment.provision(server), "LOG_LEVEL": "WARNING"}
    subprocess.run([sys.executable, "-m", "runtime.provision"], check=True, env=env, cwd=ROOT)


def _gateway(folder: Path, server: NatsServer) -> Service:
    ports = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
    urls = DatabaseUrls("unused", "unused", "unused")
    env = environment.services(server, urls, Secrets(folder / "secrets"), ports)["gateway"]
    service = Service("gateway", {**env, "LOG_LEVEL": "WARNING"}, folder / "gateway.log")
    service.start()
    return service


def _keys(peers: Peers, organizations: list[str]) -> list[str]:
    keys = [mint("key") for _ in organizations]
    for key, organization in zip(keys, organizations, strict=True):
        peers.principals[key] = Principal(organization=organization, actor="key:key_b", scopes=ALL_SCOPES)
    return keys


class _Run:
    def __init__(
        self, server: NatsServer, gateway: Service, bus: Client, keys: list[str], organizations: list[str]
    ) -> None:
        self._server, self._gateway, self._bus = server, gateway, bus
        self._keys, self._organizations = keys, organizations

    async def measured(self, name: str, readers: int, rate: float, beside: float, seconds: float) -> int:
        """Prints what it found; how many events were lost or doubled."""
        told = json.dumps(asdict(Crowd(self._gateway.port, self._keys, readers)))
        memory = psutil.Process(self._gateway.process.pid).memory_info
        before = memory().rss
        process = await _child("--crowd", told)
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        pids = {
            "gateway": self._gateway.process.pid,
            "nats": self._server.process.pid,
            "readers": process.pid,
        }
        meter = Meter(pids)
        began = time.monotonic()
        flood = json.dumps([self._server.url, self._server.seeds.platform["ingest"], beside, seconds])
        others = await _child("--beside", flood)
        sent = await publish(self._bus, self._organizations, rate, seconds)
        others_sent, _ = await others.communicate()
        took_s = time.monotonic() - began
        process.stdin.write(b"end\n")
        answer = await process.stdout.readline()
        spent = meter.read()
        grown = memory().rss - before
        await process.wait()
        found = json.loads(answer)
        each = readers // len(self._organizations)
        wanted = sum(sent) * each
        p50, p95, p99 = (found["latency_ms"][name] for name in ("p50", "p95", "p99"))
        print(
            f"{name}: {readers} readers, {sum(sent) / took_s:,.0f} + {int(others_sent) / took_s:,.0f} messages/s,"
            f" {found['events'] / took_s:,.0f} events/s;"
            f" publish → event p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms;"
            f" lost {wanted - found['events'] + found['doubled']}, doubled {found['doubled']};"
            f" gateway's memory + {grown / 2**20:.0f} MiB; CPU of one core: "
            + ", ".join(f"{who} {used / took_s:.0%}" for who, used in spent.items()),
            flush=True,
        )
        return int(abs(wanted - found["events"]) + found["doubled"])


async def _child(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.live", *arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def beside(url: str, seed: str, rate: float, seconds: float) -> int:
    """What nobody reads, from a process of its own; how many."""
    bus = await nats.connect(url, nkeys_seed_str=seed, inbox_prefix=b"_INBOX.ingest")
    sent = await publish(bus, ["org_others0000000000"], rate, seconds)
    await bus.close()
    return sum(sent)


async def publish(bus: Client, organizations: list[str], rate: float, seconds: float) -> list[int]:
    """At an even pace; how many to each."""
    sent = [0] * len(organizations)
    began, number = time.monotonic(), 0
    while rate and (now := time.monotonic() - began) < seconds:
        while number < now * rate:
            which = number % len(organizations)
            device = f"d{number // len(organizations) % DEVICES}"
            subject, headers = _address(organizations[which], device)
            body = b'{"t":%d,"temperature":21.5,"humidity":40}' % time.time_ns()
            await bus.publish(subject, body, headers=headers)
            sent[which] += 1
            number += 1
        await bus.flush()
        await asyncio.sleep(TICK_S)
    return sent


@lru_cache(maxsize=10_000)
def _address(organization: str, device: str) -> tuple[str, dict[str, str]]:
    headers = messages.headers(
        id="i",
        topic=f"{organization}/devices/{device}/telemetry",
        qos=1,
        retain=False,
        received=datetime.now(UTC),
        source="int_bench",
    )
    return subjects.message(organization, "int_bench", device), headers


class _Reader(asyncio.Protocol):
    def __init__(self, key: str, found: _Found) -> None:
        self._key, self._found, self._rest = key, found, b""
        self.open = asyncio.get_running_loop().create_future()
        self.ids: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        head = f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n\r\n"
        cast("asyncio.WriteTransport", transport).write(head.encode())

    def data_received(self, data: bytes) -> None:
        now = time.time_ns()
        if not self.open.done():
            if b": stream" in data:
                self.open.set_result(True)
            return
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        self.ids += map(int, _ID.findall(whole))
        self._found.times += [now - int(sent) for sent in _SENT_NS.findall(whole)]


class _Found:
    def __init__(self) -> None:
        self.times: list[int] = []


def _the(reader: _Reader) -> _Reader:
    return reader


async def crowd(asked: Crowd) -> dict[str, object]:
    found, readers = _Found(), []
    loop = asyncio.get_running_loop()
    for number in range(asked.readers):
        key = asked.keys[number % len(asked.keys)]
        readers.append(_Reader(key, found))
        await loop.create_connection(partial(_the, readers[-1]), LOOPBACK, asked.port)
        if number % 50 == 49:
            await asyncio.wait_for(asyncio.gather(*(each.open for each in readers)), 60)
    await asyncio.wait_for(asyncio.gather(*(each.open for each in readers)), 60)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    before = -1
    while before < len(found.times):  # what is late has come when it is quiet
        before = len(found.times)
        await asyncio.sleep(DRAIN_S)
    times = sorted(found.times)
    doubled = sum(count - 1 for each in readers for count in Counter(each.ids).values())
    at = {name: times[int(share * (len(times) - 1))] / 1e6 for name, share in _SHARES.items()}
    return {"events": sum(len(each.ids) for each in readers), "doubled": doubled, "latency_ms": at}


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
