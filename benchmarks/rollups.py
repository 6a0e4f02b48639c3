"""What roll-ups cost: the projection of a backlog with and without its marks, in turns; then the computing itself.

`make bench ONLY=rollups`, or `python -m benchmarks.rollups [messages]`: CPU a message, of the projector's process and
of PostgreSQL, which a busy machine does not change much; read it as a ratio.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import nats
from nats.aio.client import Client

from benchmarks.queries import session_cpu_s
from benchmarks.servers import started
from contracts.messages import NATS_MQTT_PUBLISH
from contracts.subjects import hosted_message
from deploy.local.nats import NatsServer
from deploy.local.postgres import Postgres
from runtime.log_writer import LogWriter
from services.telemetry import database
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.directory import Directory
from services.telemetry.messages import MessagesProjection
from services.telemetry.partitions import Partitions
from services.telemetry.projector import Projector
from services.telemetry.rollups.keeper import RollupKeeper
from services.telemetry.rollups.marks import Marks

ORGANIZATION, DEVICES = "org_0123456789abcdef", 1000
PROJECTOR = "hybridmq-telemetry projector"
TABLES = ("samples", "rollups_1m", "rollups_1h", "dirty_hours")


class Cost(NamedTuple):
    """Microseconds of CPU a message."""

    process: float
    postgres: float

    @property
    def all(self) -> float:
        return self.process + self.postgres


async def fill(server: NatsServer, count: int) -> None:
    client = await nats.connect(
        server.url, nkeys_seed_str=server.seeds.platform["ingest"], inbox_prefix=b"_INBOX.ingest"
    )
    for number in range(1, count + 1):
        sent = {"temperature": 20 + number % 10, "humidity": 40.5, "seq": number}
        arguments = (
            hosted_message(ORGANIZATION, f"d{number % DEVICES}", "telemetry"),
            json.dumps(sent).encode(),
        )
        if number % 5000 and number < count:
            await client.publish(*arguments, headers={NATS_MQTT_PUBLISH: "1"})
        else:  # not faster than the stream stores
            await client.request(*arguments, headers={NATS_MQTT_PUBLISH: "1"}, timeout=30)
    await client.close()


async def project(client: Client, url: str, count: int, *, marked: bool) -> Cost:
    """All of the log into a database of its own."""
    pool = await database.connect(url)
    watcher = await asyncpg.connect(database.plain_url(url))
    directory, writer = Directory(client), LogWriter(client)

    async def happened(*_: Any) -> None:
        pass

    projection = MessagesProjection(
        directory, DeadLetters(writer), Partitions(), followers=[Marks()] if marked else []
    )
    projector = Projector(client, pool, projection, happened, name="bench")
    tasks = [asyncio.create_task(each) for each in (directory.run(), writer.run())]
    await directory.complete.wait()
    began = time.process_time()
    tasks.append(asyncio.create_task(projector.run()))
    while projector.sequence < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    cost = Cost(
        (time.process_time() - began) / count * 1e6, await session_cpu_s(watcher, PROJECTOR) / count * 1e6
    )
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if marked:
        await compute(pool, watcher, projector, count)
    await watcher.close()
    pool.terminate()
    return cost


async def compute(
    pool: asyncpg.Pool, watcher: asyncpg.Connection, projector: Projector[Any], count: int
) -> None:
    """As the keeper does it when these hours are over."""
    keeper = RollupKeeper(pool, projector)
    before, began = await session_cpu_s(watcher, PROJECTOR), time.perf_counter()
    while await keeper.work(datetime.now(UTC) + timedelta(days=2)):
        pass
    took, cpu = time.perf_counter() - began, await session_cpu_s(watcher, PROJECTOR) - before
    rows = [await watcher.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
    print(
        f"computed: {1e6 * cpu / count:.2f} µs a message of PostgreSQL's CPU, {3 * count / took:,.0f} readings a"
        f" second with half of the time left to others; rows of {', '.join(TABLES)}: {rows}",
        flush=True,
    )


async def run(server: NatsServer, postgres: Postgres, count: int) -> None:
    await fill(server, count)
    client = await nats.connect(
        server.url, nkeys_seed_str=server.seeds.platform["telemetry"], inbox_prefix=b"_INBOX.telemetry"
    )
    costs: dict[bool, list[Cost]] = {False: [], True: []}
    for turn, marked in enumerate((False, True, True, False, False, True)):
        name = f"bench{turn}"
        postgres.create_database(name, template="bench_template")
        cost = await project(client, postgres.urls(name).projector, count, marked=marked)
        costs[marked].append(cost)
        print(
            f"{'with marks' if marked else 'without'}: µs CPU a message: projector {cost.process:.1f},"
            f" PostgreSQL {cost.postgres:.1f}",
            flush=True,
        )
        postgres.drop_database(name)
    # The least disturbed turn of each.
    ratio = min(each.all for each in costs[True]) / min(each.all for each in costs[False])
    print(f"the projection with marks costs {ratio:.3f} of that without")
    await client.close()


def main(arguments: Sequence[str]) -> int:
    count = next((int(each) for each in arguments if each.isdigit()), 100_000)
    with started("bench_template") as (server, postgres, _):
        asyncio.run(run(server, postgres, count))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
