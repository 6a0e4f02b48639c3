"""Webhooks: messages and single events through one, and what idle ones cost.

    make bench ONLY=webhooks ARGS="--messages 20000 --events 1000 --idle 100"

The receiver is a small server in this process; all of it has the same cores. Nothing may be lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import uvloop

from benchmarks.cpu import Meter
from contracts import messages, subjects
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.secrets import Secrets
from tests.ingest.conftest import open_world
from tests.ingest.hooks import Hooks, hooks_of
from tests.support.eventually import eventually
from tests.support.receiver import OK, Call, Receiver, receiving
from tests.support.service import Service, run_module

PAYLOAD = b'{"temperature": 21.5, "state": "open", "note": "' + b"x" * 50 + b'"}'
DEVICES = 100
LATENCIES = 200


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("webhooks")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--idle", type=int, default=100)
    wanted, _ = parser.parse_known_args(arguments)
    uvloop.run(run(wanted))
    return 0


async def run(wanted: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
        secrets = Secrets(folder / "secrets")
        nats = NatsServer(folder, ports, secrets)
        nats.start()
        try:
            run_module("runtime.provision", environment.provision(nats))
            service_ports = ServicePorts(0, {each: free_port() for each in SERVICES})
            env = environment.services(nats, DatabaseUrls("", "", ""), secrets, service_ports)["ingest"]
            extra = {"WEBHOOK_CALLS_PER_S": "10000"}
            ingest = Service("ingest", {**env, **extra}, folder / "ingest.log")
            ingest.start()
            try:
                await measured(nats, wanted)
            finally:
                ingest.process.stop()
        finally:
            nats.stop()


async def measured(nats: NatsServer, wanted: argparse.Namespace) -> None:
    pids = {"ingest": _pid("services.ingest"), "nats": _pid(str(nats.config_path)), "receiver": os.getpid()}
    async with open_world(nats) as world, hooks_of(world) as hooks, receiving() as receiver:
        await warm(hooks, receiver)
        for ordered in (False, True):
            id = await hooks.create(receiver.url, ordered=ordered)
            await hooks.until_begun(id)
            await hooks.pause(id)
            await asyncio.sleep(2)
            await publish(hooks, wanted.messages)
            before, carried = len(receiver.calls), counted(receiver)
            meter, begun = Meter(pids), time.monotonic()
            await hooks.resume(id)
            await eventually(lambda carried=carried: len(carried) >= wanted.messages, timeout_s=600)  # type: ignore[misc]
            tell(f"{'in order' if ordered else 'unordered'}", wanted.messages, receiver, before, begun, meter)
            await hooks.delete(id)
        await hooks.create(receiver.url, "link.up")
        before, meter, begun = len(receiver.calls), Meter(pids), time.monotonic()
        for _ in range(wanted.events // 50):
            await asyncio.gather(*(hooks.activity("link.up") for _ in range(50)))
        await eventually(lambda: len(receiver.calls) - before >= wanted.events, timeout_s=600)
        tell("single events", wanted.events, receiver, before, begun, meter)
        await latency(hooks, receiver)
        for number in range(wanted.idle):
            await hooks.create(receiver.url, "message", "*", device_ids=(f"none-{number}",))
        await asyncio.sleep(10)
        meter = Meter(pids)
        await asyncio.sleep(5)
        costs = {each: f"{seconds / 5:.2%}" for each, seconds in meter.read().items()}
        print(f"{wanted.idle} idle webhooks of three logs each: of a core {costs}")


async def warm(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url)
    await hooks.message("warm")
    await eventually(lambda: receiver.calls, timeout_s=60)
    await hooks.delete(id)


async def publish(hooks: Hooks, count: int) -> None:
    stream = hooks.world._clients["gateway"].jetstream(  # noqa: SLF001 — the test's own
        publish_async_max_pending=2_000
    )
    waiting = []
    for number in range(count):
        device = f"d{number % DEVICES}"
        topic = f"{hooks.organization}/devices/{device}/telemetry"
        headers = messages.headers(
            id=str(number), topic=topic, qos=1, retain=False, received=datetime.now(UTC), source="http"
        )
        subject = subjects.message(hooks.organization, "http", device)
        waiting.append(await stream.publish_async(subject, PAYLOAD, headers=headers))
        if len(waiting) == 1_000:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)


def counted(receiver: Receiver) -> set[int]:
    """The sequences of all messages that come from now on."""
    found: set[int] = set()

    def take(call: Call) -> bytes:
        if b'"messages"' in call.body:
            found.update(each["sequence"] for each in call.messages)
        return OK

    receiver.answers = take
    return found


async def latency(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url)
    await hooks.until_begun(id)
    took = []
    for number in range(LATENCIES):
        before, begun = len(receiver.calls), asyncio.get_running_loop().time()
        await hooks.message(str(number))
        await eventually(lambda before=before: len(receiver.calls) > before, every_s=0.001)  # type: ignore[misc]
        took.append((receiver.calls[-1].at - begun) * 1000)
        await asyncio.sleep(0.02)
    await hooks.delete(id)
    cuts = statistics.quantiles(took, n=100)
    print(f"stored → called, one at a time: p50 {cuts[49]:.1f}, p95 {cuts[94]:.1f}, p99 {cuts[98]:.1f} ms")


def tell(what: str, count: int, receiver: Receiver, before: int, begun: float, meter: Meter) -> None:
    took, calls = time.monotonic() - begun, len(receiver.calls) - before
    costs = {each: f"{seconds / count * 1e6:.0f}" for each, seconds in meter.read().items()}
    print(
        f"{what}: {count:,} in {calls:,} calls, {took:.1f} s: {count / took:,.0f} a second, "
        f"{calls / took:,.0f} calls a second; CPU µs each {costs}",
        flush=True,
    )


def _pid(part: str) -> int:
    """Of our own child with this in its command line."""
    children = psutil.Process().children(recursive=True)
    return next(each.pid for each in children if part in " ".join(each.cmdline()))
