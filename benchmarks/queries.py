"""Questions over much data, from raw rows: wall time, and PostgreSQL's CPU, which a busy machine does not change.

`make bench ONLY=queries`, or `python -m benchmarks.queries [rounds]`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from contracts.series import GetSeries, ListLatest
from deploy.local import environment
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls, Postgres
from deploy.local.secrets import Secrets
from services.telemetry.described import Described
from services.telemetry.queries.latest import list_latest
from services.telemetry.queries.series import get_series
from services.telemetry.queries.session import ReadStore

ORGANIZATION = "org_bench"
POINTS, DEVICES, ROUNDS = 1_000_000, 10_000, 10
DAY = datetime(2026, 11, 1, tzinfo=UTC)
_FILL = (
    f"INSERT INTO organizations (name) VALUES ('{ORGANIZATION}')",
    "INSERT INTO metrics (organization, name) SELECT 1, unnest(ARRAY['temperature', 'humidity', 'seq'])",
    (
        "INSERT INTO devices (organization, name, first_seen, last_seen)"
        f" SELECT 1, 'd' || n, now(), now() FROM generate_series(0, {DEVICES}) n"
    ),
    "INSERT INTO device_metrics SELECT 1, d.id, m.id, '2026-11-01' FROM devices d, metrics m",
    "SELECT hybridmq_ensure_day('samples', '2026-11-01')",
    # d0 has one sample of three readings every 86.4 ms, all others have one sample.
    (
        "INSERT INTO samples (time, sequence, organization, device, epoch, position, flags, source, topic, metrics,"
        " numbers) SELECT timestamptz '2026-11-01 00:00Z' + n * interval '86.4 ms', n, 1, 1, 1, 0, 0, 'hosted',"
        " 'org_bench0123456789/devices/d0/telemetry', ARRAY[1, 2, 3], ARRAY[20 + sin(n), 50 + cos(n), n]"
        f" FROM generate_series(0, {POINTS - 1}) n"
    ),
    (
        "INSERT INTO samples (time, sequence, organization, device, epoch, position, flags, source, topic, metrics,"
        " numbers) SELECT timestamptz '2026-11-01 12:00Z', id, 1, id, 1, 0, 0, 'hosted',"
        " 'org_bench0123456789/devices/' || name || '/telemetry', ARRAY[1, 2, 3], ARRAY[20, 50, id]"
        " FROM devices WHERE name <> 'd0'"
    ),
    "ANALYZE devices, device_metrics, metrics",
)


async def measure(
    name: str, rounds: int, database: asyncpg.Connection, ask: Callable[[], Awaitable[None]]
) -> None:
    walls, cpu = [], 0.0
    await ask()  # the plan's catalogue and the pages are read once
    for _ in range(rounds):
        before, began = await _cpu_s(database), time.perf_counter()
        await ask()
        walls.append(1000 * (time.perf_counter() - began))
        cpu += await _cpu_s(database) - before
    walls.sort()
    p95 = walls[min(len(walls) - 1, int(0.95 * len(walls)))]
    print(
        f"{name:<58} p50 {walls[len(walls) // 2]:7.0f} ms   p95 {p95:7.0f} ms"
        f"   PostgreSQL's CPU {1000 * cpu / rounds:7.0f} ms",
        flush=True,
    )


async def _cpu_s(database: asyncpg.Connection) -> float:
    """Of the sessions that answer queries."""
    pids = await database.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'hybridmq-telemetry queries'"
    )
    ticks = 0
    for row in pids:
        ticks += _ticks(row["pid"])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """proc_pid_stat(5): utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def run(urls: DatabaseUrls, rounds: int) -> None:
    filling = await asyncpg.connect(urls.projector.replace("+asyncpg", ""))
    for statement in _FILL:
        await filling.execute(statement)
    await filling.close()
    owner = await asyncpg.connect(urls.owner.replace("+asyncpg", ""))
    await owner.execute("VACUUM ANALYZE samples")
    await owner.close()
    database = await asyncpg.connect(urls.query.replace("+asyncpg", ""))
    store = ReadStore(urls.query, 1, 60)
    for name, metrics, hours, interval, aggregate in (
        ("1,000,000 samples, one metric, into 1,000: avg", ["temperature"], 24.0, "87s", ["avg"]),
        ("… avg, min, max, count", ["temperature"], 24.0, "87s", ["avg", "min", "max", "count"]),
        ("… p95", ["temperature"], 24.0, "87s", ["p95"]),
        ("… last", ["temperature"], 24.0, "87s", ["last"]),
        ("333,333 samples of 3 metrics, into 1,000 in all: avg", [], 8.0, "87s", ["avg"]),
    ):
        query = GetSeries.model_validate(
            {
                "organization": ORGANIZATION,
                "device_id": ["d0"],
                "metric": metrics,
                "from_": DAY,
                "to": DAY + timedelta(hours=hours),
                "interval": interval,
                "aggregate": aggregate,
            }
        )

        async def series(query: GetSeries = query) -> None:
            page = await get_series(store, query, DAY)
            assert page.items

        await measure(name, rounds, database, series)

    async def latest() -> None:
        seen, cursor = 0, None
        while True:
            query = ListLatest(organization=ORGANIZATION, limit=1000, cursor=cursor)
            page = await list_latest(store, query, Described())
            seen += len(page.items)
            if (cursor := page.next_cursor) is None:
                break
        assert seen == DEVICES + 1

    await measure(f"latest values of {DEVICES:,} devices, 3 metrics each, in pages", rounds, database, latest)
    await store.close()
    await database.close()


def main(arguments: Sequence[str]) -> int:
    rounds = next((int(each) for each in arguments if each.isdigit()), ROUNDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root
        postgres = Postgres(folder / "postgres", free_port(), Secrets(folder / "secrets"))
        postgres.start()
        try:
            subprocess.run(
                [sys.executable, "-m", "services.telemetry.migrate"],
                env={**os.environ, **environment.migrate(postgres.urls())},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            asyncio.run(run(postgres.urls(), rounds))
        finally:
            postgres.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
