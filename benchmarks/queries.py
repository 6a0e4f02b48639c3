"""Questions over much data, from samples and from roll-ups: wall time and PostgreSQL's CPU, which
a busy machine changes less.

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
from typing import Any

import asyncpg

from contracts.series import GetSeries, ListLatest
from deploy.local import environment
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls, Postgres
from deploy.local.secrets import Secrets
from services.telemetry import database as telemetry_database
from services.telemetry.described import Described
from services.telemetry.projector import Projector
from services.telemetry.queries.latest import list_latest
from services.telemetry.queries.series import get_series
from services.telemetry.queries.session import ReadStore
from services.telemetry.rollups.keeper import RollupKeeper

ORGANIZATION, QUERIES = "org_bench", "hybridmq-telemetry queries"
PROJECTOR = "hybridmq-telemetry projector"
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
    # d0 has one sample of three readings every 60 ms, for 1,000 minutes; all others have one sample.
    (
        "INSERT INTO samples (time, sequence, organization, device, epoch, position, flags, source, topic, metrics,"
        " numbers) SELECT timestamptz '2026-11-01 00:00Z' + n * interval '60 ms', n, 1, 1, 1, 0, 0, 'hosted',"
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
        before, began = await session_cpu_s(database, QUERIES), time.perf_counter()
        await ask()
        walls.append(1000 * (time.perf_counter() - began))
        cpu += await session_cpu_s(database, QUERIES) - before
    walls.sort()
    p95 = walls[min(len(walls) - 1, int(0.95 * len(walls)))]
    print(
        f"{name:<58} p50 {walls[len(walls) // 2]:7.0f} ms   p95 {p95:7.0f} ms"
        f"   PostgreSQL's CPU {1000 * cpu / rounds:7.0f} ms",
        flush=True,
    )


async def session_cpu_s(database: asyncpg.Connection, application: str) -> float:
    """Of the sessions of this name in this database."""
    pids = await database.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
        application,
    )
    ticks = 0
    for row in pids:
        ticks += _ticks(row["pid"])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """proc_pid_stat(5): utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def roll_up(urls: DatabaseUrls) -> None:
    """All of it, as it is done an hour after an hour."""
    pool = await telemetry_database.connect(urls.projector)
    watcher = await asyncpg.connect(telemetry_database.plain_url(urls.projector))
    await pool.execute(
        "INSERT INTO dirty_hours (device, hour, organization)"
        " SELECT DISTINCT device, date_trunc('hour', time, 'UTC'), 1 FROM samples"
    )
    before, began = await session_cpu_s(watcher, PROJECTOR), time.perf_counter()
    client: Any = None
    keeper = RollupKeeper(pool, Projector(client, pool, client, client, name="bench"))
    while await keeper.work(datetime.now(UTC) + timedelta(days=400)):
        pass
    cpu, took = await session_cpu_s(watcher, PROJECTOR) - before, time.perf_counter() - began
    print(
        f"rolled up {POINTS:,} samples of 3 readings in {took:.1f} s, half of it left to others;"
        f" PostgreSQL's CPU {cpu / POINTS * 1e6:.2f} µs a sample",
        flush=True,
    )
    await watcher.execute("ANALYZE")
    await watcher.close()
    pool.terminate()


async def run(urls: DatabaseUrls, rounds: int) -> None:
    filling = await asyncpg.connect(urls.projector.replace("+asyncpg", ""))
    for statement in _FILL:
        await filling.execute(statement)
    await filling.close()
    owner = await asyncpg.connect(urls.owner.replace("+asyncpg", ""))
    await owner.execute("VACUUM ANALYZE samples")
    await owner.close()
    await roll_up(urls)
    database = await asyncpg.connect(urls.query.replace("+asyncpg", ""))
    store = ReadStore(urls.query, 1, 60)
    for name, metrics, minutes, interval, aggregate in (
        ("1,000,000 samples, one metric, into 1,000: avg", ["temperature"], 1000, "61s", ["avg"]),
        ("… avg, min, max, count", ["temperature"], 1000, "61s", ["avg", "min", "max", "count"]),
        ("… p95", ["temperature"], 1000, "61s", ["p95"]),
        ("… last", ["temperature"], 1000, "61s", ["last"]),
        ("333,333 samples of 3 metrics, into 1,000 in all: avg", [], 333, "61s", ["avg"]),
        ("1,000,000 samples from roll-ups, into 1,000: avg", ["temperature"], 1000, "1m", ["avg"]),
        ("… avg, min, max, count", ["temperature"], 1000, "1m", ["avg", "min", "max", "count"]),
        ("… last", ["temperature"], 1000, "1m", ["last"]),
        ("… of 3 metrics, into 3,000 in all: avg", [], 1000, "1m", ["avg"]),
        ("… by the hour: avg, min, max, count", ["temperature"], 1000, "1h", ["avg", "min", "max", "count"]),
    ):
        query = GetSeries.model_validate(
            {
                "organization": ORGANIZATION,
                "device_id": ["d0"],
                "metric": metrics,
                "from_": DAY,
                "to": DAY + timedelta(minutes=minutes),
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
