"""Exports of many readings over HTTP: rows a second, CPU and peak memory by process, and how the formats compare.

`make bench ONLY=exports`, or `python -m benchmarks.exports [samples]`, each of three readings. CPU is what a busy
machine does not change.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx

from benchmarks.cpu import Meter
from deploy.local.stack import Stack

SAMPLES = 1_000_000
DEVICES = 1000
DAY = "2026-03-01"
_FILL = (
    (
        "INSERT INTO metrics (organization, name) SELECT id, unnest(ARRAY['temperature', 'humidity', 'seq'])"
        " FROM organizations WHERE name = $1"
    ),
    (
        "INSERT INTO devices (organization, name, first_seen, last_seen)"
        f" SELECT id, 'd' || n, now(), now() FROM organizations, generate_series(1, {DEVICES}) n WHERE name = $1"
    ),
)
_SAMPLES = f"""
INSERT INTO samples (time, sequence, organization, device, epoch, position, flags, source, topic, metrics, numbers)
SELECT timestamptz '{DAY} 00:00Z' + n * interval '80 ms', n, o.id, d.ids[1 + n % {DEVICES}], 1, 0, 0, 'hosted',
    'org_0123456789abcdef/devices/d' || n % {DEVICES} || '/telemetry', m.ids, ARRAY[20 + sin(n), 50 + cos(n), n]
FROM generate_series(1, $2::int) n, (SELECT id FROM organizations WHERE name = $1) o,
    LATERAL (SELECT array_agg(id ORDER BY id) AS ids FROM devices WHERE organization = o.id) d,
    LATERAL (SELECT array_agg(id ORDER BY id) AS ids FROM metrics WHERE organization = o.id) m
"""
WAYS = {
    "csv": "format=csv",
    "csv, gzip": "format=csv",
    "csv, wide": "format=csv&shape=wide&metric=temperature&metric=humidity&metric=seq",
    "ndjson": "format=ndjson",
    "ndjson, wide": "format=ndjson&shape=wide",
    "parquet": "format=parquet",
    "csv, one metric of 3": "format=csv&metric=seq",
    "csv, 1 device of 1,000": "format=csv&device_id=d7",
}


class Export(NamedTuple):
    name: str
    rows: int
    size: int
    seconds: float
    cpu: dict[str, float]
    growth: dict[str, int]  # KiB


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def _fill(stack: Stack, organization: str, samples: int) -> None:
    database = await asyncpg.connect(stack.addresses.database)
    await database.execute(
        "INSERT INTO organizations (name) VALUES ($1) ON CONFLICT DO NOTHING", organization
    )
    for statement in _FILL:
        await database.execute(statement, organization)
    await database.execute(f"SELECT hybridmq_ensure_day('samples', '{DAY}')")
    await database.execute(_SAMPLES, organization, samples, timeout=600)
    await database.close()
    owner = await asyncpg.connect(stack.postgres.urls().owner.replace("+asyncpg", ""))
    await owner.execute("VACUUM ANALYZE", timeout=600)
    await owner.close()


def export(stack: Stack, http: httpx.Client, name: str, query: str, rows: int) -> Export:
    pids = {each: stack.processes[each].pid for each in ("gateway", "telemetry", "postgres")}
    before = {}
    for each in ("gateway", "telemetry"):
        Path(f"/proc/{pids[each]}/clear_refs").write_text("5")  # proc(5): the peak is what is in use now
        before[each] = _peak(pids[each])
    meter, began, size = Meter(pids), time.perf_counter(), 0
    accepted = {"Accept-Encoding": "gzip" if "gzip" in name else "identity"}
    url = f"/v1/telemetry/export?{query}"
    with http.stream("GET", url, headers=accepted, timeout=600) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_raw():
            size += len(chunk)
    seconds = time.perf_counter() - began
    growth = {each: _peak(pids[each]) - held for each, held in before.items()}
    return Export(name, rows, size, seconds, meter.read(), growth)


def table(exports: Sequence[Export]) -> str:
    lines = [f"{'':<24}{'rows':>10}{'MB':>7}{'seconds':>9}{'rows/s':>10}   CPU µs a row, growth of memory"]
    for each in exports:
        costs = "  ".join(
            f"{name} {seconds / each.rows * 1e6:.1f}"
            + (f" (+{each.growth[name] / 1024:.0f} MiB)" if name in each.growth else "")
            for name, seconds in each.cpu.items()
        )
        lines.append(
            f"{each.name:<24}{each.rows:>10,}{each.size / 1e6:>7.0f}{each.seconds:>9.1f}"
            f"{each.rows / each.seconds:>10,.0f}   {costs}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    samples = next((int(each) for each in arguments if each.isdigit()), SAMPLES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root
        stack = Stack(folder / "platform")
        stack.start()
        try:
            admin = {"Authorization": f"Bearer {stack.addresses.admin_key}"}
            with httpx.Client(base_url=stack.addresses.gateway, timeout=30) as http:
                made = http.post("/v1/organizations", json={"name": "Bench"}, headers=admin).json()
                asyncio.run(_fill(stack, made["id"], samples))
                http.headers["Authorization"] = f"Bearer {made['api_key']['secret']}"
                done = []
                for way, query in WAYS.items():
                    rows = samples if "wide" in way or "metric" in way else 3 * samples
                    if "device" in way:
                        rows = 3 * (samples // DEVICES)
                    done.append(export(stack, http, way, query, rows))
                print(table(done), flush=True)
        finally:
            stack.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
