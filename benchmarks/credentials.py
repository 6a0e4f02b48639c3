"""Credentials: connects a second through the auth callout, revocation, verification, a large registry.

make bench ONLY=credentials ARGS="--credentials 20000 --seconds 10"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import connects, revocations
from benchmarks.cpu import Meter
from benchmarks.registry import Issued, Rig, issue, rig
from contracts import secrets_format
from deploy.local.ports import LOOPBACK
from services.credentials.chosen import ChosenPasswords

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 2.0  # code is compiled, caches are filled
VERIFICATIONS, CHOSEN_VERIFICATIONS = 50_000, 20
CONNECTS_GOAL, CONNECT_P99_GOAL_MS, REVOCATION_P99_GOAL_MS = 1500, 60, 1000  # DESIGN §7


@dataclass(frozen=True)
class Options:
    credentials: int
    processes: int
    at_once: int  # connects under way in each
    seconds: float
    revocations: int
    publish_rate: float
    clean: bool


@dataclass
class Result:
    """Milliseconds, unless the name says otherwise."""

    load_before: float = 0  # of the last minute: who else was at work on this machine
    start_empty_s: float = 0
    start_loaded_s: float = 0
    rss_empty_mib: float = 0
    rss_loaded_mib: float = 0
    connects_per_second: float = 0
    connect_p50: float = 0
    connect_p99: float = 0
    connects: int = 0
    refused: int = 0
    broken: int = 0
    connect_cpu_us: dict[str, float] = field(default_factory=dict)
    verify_hmac_us: float = 0
    verify_argon2_us: float = 0
    revocation_p50: float = 0
    revocation_p99: float = 0
    revocation_max: float = 0


def main(arguments: list[str]) -> int:
    """0 when every connect of a good credential was let in."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="hybridmq-bench-") as folder, rig(Path(folder)) as made:
        result = measure(made, Path(folder), options)
    return report(result, options)


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks credentials", description=__doc__)
    parser.add_argument("--credentials", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2, help="load generators")
    parser.add_argument("--at-once", type=int, default=32, help="connects under way in each of them")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--revocations", type=int, default=50)
    parser.add_argument("--publish-rate", type=float, default=1000, help="messages a second meanwhile")
    parser.add_argument("--persistent", dest="clean", action="store_false", help="sessions that are kept")
    return Options(**vars(parser.parse_args(arguments)))


def measure(made: Rig, folder: Path, options: Options) -> Result:
    result = Result(load_before=os.getloadavg()[0])
    result.start_empty_s = made.start_service()
    result.rss_empty_mib = made.rss_mib
    made.service.stop()
    issued = issue(made, options.credentials)
    result.start_loaded_s = made.start_service()
    result.rss_loaded_mib = made.rss_mib
    result.verify_hmac_us = microseconds(made, issued[0])
    result.verify_argon2_us = asyncio.run(argon2_microseconds(made))
    storm(made, folder, issued, options, WARM_UP_S)
    cpu = Meter({"nats-server": made.nats.process.pid, "credentials": made.service.pid})
    reports = storm(made, folder, issued, options, options.seconds)
    used = {**cpu.read(), "generators": sum(each.cpu_seconds for each in reports)}
    fill_connects(result, reports, used)
    half = options.revocations
    taken = asyncio.run(
        revocations.measure(made, issued[:half], issued[half : 2 * half], options.publish_rate)
    )
    result.revocation_p50, result.revocation_p99 = percentile(taken, 50), percentile(taken, 99)
    result.revocation_max = max(taken)
    return result


def storm(
    made: Rig, folder: Path, issued: Sequence[Issued], options: Options, seconds: float
) -> list[connects.Report]:
    """The last credentials connect, in turn: the first ones are to be revoked."""
    share = min(5000, (len(issued) - 2 * options.revocations) // options.processes)
    storms = []
    for process in range(options.processes):
        logins = folder / f"logins{process}"
        end = len(issued) - process * share
        lines = [list(asdict(each.login).values()) for each in issued[end - share : end]]
        logins.write_text("\n".join(json.dumps(line) for line in lines))
        port = made.nats.ports.mqtt
        storms.append(
            connects.Storm(LOOPBACK, port, str(logins), options.at_once, seconds, clean=options.clean)
        )
    return connects.finish(connects.start(storms), seconds + 60)


def fill_connects(result: Result, reports: Sequence[connects.Report], cpu: dict[str, float]) -> None:
    taken = [each for report in reports for each in report.milliseconds]
    result.connects = len(taken)
    result.refused = sum(report.refused for report in reports)
    result.broken = sum(report.broken for report in reports)
    result.connects_per_second = len(taken) / max(report.seconds for report in reports)
    result.connect_p50, result.connect_p99 = percentile(taken, 50), percentile(taken, 99)
    result.connect_cpu_us = {name: seconds / len(taken) * 1e6 for name, seconds in cpu.items()}


def microseconds(made: Rig, issued: Issued) -> float:
    """Checksum and keyed hash of a generated secret."""
    password, verifier = issued.login.password, made.hashing.verifier(issued.login.password)

    def verify() -> bool:
        return secrets_format.well_formed(password, "dev") and made.hashing.verifies(password, verifier)

    return cpu_us(verify, VERIFICATIONS)


async def argon2_microseconds(made: Rig) -> float:
    """The first verification of a password that people chose; later ones are known."""
    chosen = ChosenPasswords(made.hashing)
    verifier = await chosen.verifier("a password")
    began = time.process_time()
    for number in range(CHOSEN_VERIFICATIONS):
        await chosen.find_out(f"another password {number}", verifier)
    return (time.process_time() - began) / CHOSEN_VERIFICATIONS * 1e6


def cpu_us(work: Callable[[], bool], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times * 1e6


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(result: Result, options: Options) -> str:
    cpu = "  ".join(f"{name} {cost:.0f}" for name, cost in result.connect_cpu_us.items())
    rows = [
        ("load before", f"{result.load_before:.1f}", ""),
        ("connects", f"{result.connects_per_second:,.0f}/s", f"≥ {CONNECTS_GOAL:,}/s"),
        (
            "  p50, p99",
            f"{result.connect_p50:.1f}, {result.connect_p99:.1f} ms",
            f"p99 ≤ {CONNECT_P99_GOAL_MS} ms",
        ),
        ("  refused, broken", f"{result.refused}, {result.broken}", "0, 0"),
        ("  CPU µs a connect", cpu, ""),
        (
            "revoked → last accepted",
            f"p50 {result.revocation_p50:.0f}, p99 {result.revocation_p99:.0f}, max {result.revocation_max:.0f} ms",
            f"p99 ≤ {REVOCATION_P99_GOAL_MS:,} ms",
        ),
        ("verification, generated", f"{result.verify_hmac_us:.1f} µs", ""),
        ("verification, argon2id", f"{result.verify_argon2_us:,.0f} µs", ""),
        ("start, no credential", f"{result.start_empty_s:.1f} s, {result.rss_empty_mib:.0f} MiB", ""),
        (
            f"start, {options.credentials:,} credentials",
            f"{result.start_loaded_s:.1f} s, {result.rss_loaded_mib:.0f} MiB",
            "",
        ),
    ]
    return "\n".join(f"{name:<28}{value:<52}{goal}".rstrip() for name, value, goal in rows)


def report(result: Result, options: Options) -> int:
    """Print the table, write the file; the exit code."""
    print("\n" + table(result, options))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-credentials.json"
    path.write_text(json.dumps({"options": asdict(options), **asdict(result)}, indent=2) + "\n")
    print(f"\nwritten to {path}")
    if result.refused or result.broken:
        print("FAILED: good credentials were kept out")
        return 1
    return 0
