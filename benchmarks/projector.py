"""A backlog in MESSAGES to rows in PostgreSQL: msg/s, and CPU per message of each process.

`python -m benchmarks.projector [messages]`; servers of its own, in a temporary folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import nats

from benchmarks.cpu import cpu_seconds
from benchmarks.servers import started
from contracts.messages import NATS_MQTT_PUBLISH
from contracts.subjects import hosted_message
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from deploy.local.postgres import DatabaseUrls, Postgres
from deploy.local.secrets import Secrets

ORGANIZATION, DEVICES = "org_0123456789abcdef", 1000


async def fill(server: NatsServer, count: int, *, timed: bool = True) -> None:
    """Messages as the hosted broker's source writes them, with three readings each.

    `timed`: with a time of the device's, the same for all; else they are of when they come.
    """
    client = await nats.connect(
        server.url, nkeys_seed_str=server.seeds.platform["ingest"], inbox_prefix=b"_INBOX.ingest"
    )
    for number in range(1, count + 1):
        metrics = {"temperature": 20 + number % 10, "humidity": 40.5, "seq": number}
        said = {"timestamp": "2026-11-21T10:00:00Z"} if timed else {}
        sent = {"deviceId": f"d{number % DEVICES}", **said, "metrics": metrics}
        subject = hosted_message(ORGANIZATION, f"d{number % DEVICES}", "telemetry")
        arguments = (subject, json.dumps(sent).encode())
        if number % 5000 and number < count:
            await client.publish(*arguments, headers={NATS_MQTT_PUBLISH: "1"})
        else:  # not faster than the stream stores
            await client.request(*arguments, headers={NATS_MQTT_PUBLISH: "1"}, timeout=30)
    await client.close()


async def project(server: NatsServer, postgres: Postgres, urls: DatabaseUrls, count: int) -> None:
    ports = ServicePorts(free_port(), {name: free_port() for name in SERVICES})
    with tempfile.TemporaryDirectory() as folder:
        env = environment.services(server, urls, Secrets(Path(folder)), ports)["telemetry"]
    database = await asyncpg.connect(urls.projector.replace("+asyncpg", ""))
    stored = "SELECT sequence FROM checkpoints WHERE projection = 'messages'"
    bus = server.process.pid
    store = postgres.process.pid
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "services.telemetry"], env={**os.environ, **env}, stdout=subprocess.DEVNULL
    ) as running:
        service = running.pid
        while not (first := await database.fetchval(stored)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        started, before = time.perf_counter(), [cpu_seconds(each) for each in (service, store, bus)]
        while (last := await database.fetchval(stored)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        took = time.perf_counter() - started
        after = [cpu_seconds(each) for each in (service, store, bus)]
        running.terminate()
    done = last - first
    rows = await database.fetchrow("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM samples)")
    assert rows is not None
    used = [(end - begin) / done * 1e6 for begin, end in zip(before, after, strict=True)]
    print(f"{done / took:,.0f} msg/s, {3 * done / took:,.0f} points/s, rows {tuple(rows)} of {count}")
    print("µs CPU a message: projector {:.1f}, postgres {:.1f}, nats-server {:.1f}".format(*used), flush=True)
    await database.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with started() as (server, postgres, _):
        asyncio.run(fill(server, count))
        asyncio.run(project(server, postgres, postgres.urls(), count))


if __name__ == "__main__":
    main()
