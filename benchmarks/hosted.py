"""Hosted broker → log → Postgres (raw message and three readings each), beside the script that keeps no log.

    make bench ONLY=hosted ARGS="--messages 500000 --qos 1"

It starts a platform of its own on free ports, floods it with messages that carry a sequence number, waits
until all have become rows, and compares the rows with the ledger of what was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks import baseline, flood
from benchmarks.cpu import Meter
from benchmarks.loss import Rows, compare
from benchmarks.measured import Measured, table
from deploy.local.stack import Stack
from tests.support.mosquitto import find_mosquitto

RESULTS = Path(__file__).parent / "results"
WARM_UP = 5_000  # messages: connections are open, code is compiled, tables have pages


@dataclass(frozen=True)
class Options:
    messages: int
    workers: int
    qos: int
    seconds: float  # the flood's bound
    drain_seconds: float  # and then that of the waiting for rows
    direct: bool


def main(arguments: list[str]) -> int:
    """0 when nothing was lost, invented or doubled."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as folder:
        stack = Stack(Path(folder), extra_environment={"LOG_LEVEL": "WARNING"})
        try:
            stack.start()
            runs = [_direct(stack, options)] if options.direct else []
            runs.append(asyncio.run(_platform(stack, options)))
        finally:
            stack.stop()
    return report(runs, options)


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks hosted", description=__doc__)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--workers", type=int, default=2, help="load generators, a process each")
    parser.add_argument("--qos", type=int, choices=(0, 1), default=1)
    parser.add_argument("--seconds", type=float, default=60, help="bound of the flood")
    parser.add_argument("--drain-seconds", type=float, default=60, help="bound of the waiting for rows")
    parser.add_argument("--no-direct", dest="direct", action="store_false", help="without the baseline")
    return Options(**vars(parser.parse_args(arguments)))


def report(runs: list[Measured], options: Options) -> int:
    """Print the table, write the file; the exit code."""
    print("\n" + table(runs))
    platform = runs[-1]
    ratio = None
    if len(runs) > 1 and runs[0].messages_per_second:
        ratio = platform.messages_per_second / runs[0].messages_per_second
        print(f"\nplatform / direct script: {ratio:.2f}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-hosted.json"
    content = {
        "options": asdict(options),
        "ratio": ratio,
        "runs": [
            {
                **asdict(run),
                "messages_per_second": run.messages_per_second,
                "points_per_second": run.points_per_second,
                "cpu_us_per_message": run.cpu_us_per_message,
            }
            for run in runs
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written to {path}")
    if any(platform.faults.values()):
        print(f"FAILED: {platform.faults}")
        return 1
    return 0


def _direct(stack: Stack, options: Options) -> Measured:
    if find_mosquitto() is None:
        raise SystemExit("mosquitto is not installed: tests/support/install.sh, or --no-direct")
    stack.postgres.create_database("direct")
    measured = baseline.run(
        stack.postgres.urls("direct").owner.replace("+asyncpg", ""),
        stack.postgres.process.pid,
        min(options.messages, 200_000),
        options.workers,
        options.seconds + options.drain_seconds,
    )
    stack.postgres.drop_database("direct")
    stack.postgres.sql("CHECKPOINT")  # its pages are written now, not at the platform's expense
    return measured


async def _platform(stack: Stack, options: Options) -> Measured:
    credential = await _credential(stack)
    rows = await Rows.connect(stack.addresses.database)
    try:
        await _flooded(stack, replace(options, messages=WARM_UP, workers=1, qos=1), credential, rows, 99)
        return await _flooded(stack, options, credential, rows, 1)
    finally:
        await rows.close()


async def _flooded(
    stack: Stack, options: Options, credential: dict[str, str], rows: Rows, first_worker: int
) -> Measured:
    broker = urlsplit(stack.addresses.mqtt)
    workers = range(first_worker, first_worker + options.workers)
    floods = [
        flood.Flood(
            host=broker.hostname or "127.0.0.1",
            port=broker.port or 1883,
            topic_prefix=f"{credential['topic_prefix'].rstrip('/')}/devices",
            client_id=f"{credential['client_id']}-{worker}",
            username=credential["username"],
            password=credential["password"],
            qos=options.qos,
            worker=worker,
            messages=options.messages // options.workers,
            seconds=options.seconds,
        )
        for worker in workers
    ]
    before = await rows.count()
    meter = Meter({name: process.pid for name, process in stack.processes.items()})
    processes = flood.start(floods)
    reports = await asyncio.to_thread(flood.finish, processes, options.seconds + 60)
    started = min(report.started for report in reports)
    awaited = sum(report.acknowledged if options.qos else report.sent for report in reports)
    complete = await rows.until(before + awaited, options.drain_seconds)
    seconds = time.time() - started
    cpu = {"generator": sum(report.cpu_seconds for report in reports), **meter.read()}
    found = await rows.since(before)
    faults = compare(reports, found, options.qos)
    if not complete:
        print(f"not all rows came within {options.drain_seconds:g} s")
    return Measured(
        name=f"platform, QoS {options.qos}",
        messages=found.messages,
        points=found.readings,
        seconds=seconds,
        cpu_seconds=cpu,
        faults=faults,
    )


async def _credential(stack: Stack) -> dict[str, str]:
    """A credential that may publish for every device of a new organization."""
    async with httpx.AsyncClient(base_url=f"{stack.addresses.gateway}/v1", timeout=30) as api:
        made = await api.post(
            "/organizations",
            json={"name": "benchmark"},
            headers={"Authorization": f"Bearer {stack.addresses.admin_key}"},
        )
        made.raise_for_status()
        issued = await api.post(
            "/credentials",
            json={"name": "flood"},
            headers={"Authorization": f"Bearer {made.json()['api_key']['secret']}"},
        )
        issued.raise_for_status()
        answer: dict[str, str] = issued.json()
        return answer
