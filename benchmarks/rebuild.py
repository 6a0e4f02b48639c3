"""Rebuild and redecode of a backlog: points a second, alone and beside live messages; servers of its own.

`make bench ONLY=rebuild`, or `python -m benchmarks.rebuild [messages] [live messages a second]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import nats
from nats.aio.client import Client

from benchmarks.cpu import cpu_seconds
from benchmarks.projector import ORGANIZATION, fill
from benchmarks.servers import started
from contracts.envelope import Cause
from contracts.messages import NATS_MQTT_PUBLISH
from contracts.organizations import PLATFORM, OrganizationCreated
from contracts.rebuild import GET_REBUILD, START_REBUILD
from contracts.redecode import GET_REDECODE, ORDER_REDECODE
from contracts.subjects import hosted_message, registry
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from runtime.event_log import Append, EventLog

LIVE = 2000  # messages a second
LOOK_S = 0.2
OPERATOR = {"organization": PLATFORM, "actor": "admin"}


class Live:
    """Numbered messages at a rate, and how far behind the store was at its worst."""

    def __init__(self, client: Client, database: asyncpg.Connection, rate: int) -> None:
        self._client, self._database, self._rate = client, database, rate
        self.sent, self.worst_lag = 0, 0

    async def run(self, leave: asyncio.Event) -> None:
        while not leave.is_set():
            began = time.perf_counter()
            for _ in range(self._rate // 50):
                self.sent += 1
                subject = hosted_message(ORGANIZATION, f"live{self.sent % 100}", "telemetry")
                metrics = {"temperature": 21.5, "humidity": 40.5, "seq": self.sent}
                await self._client.publish(
                    subject, json.dumps({"metrics": metrics}).encode(), headers={NATS_MQTT_PUBLISH: "1"}
                )
            info = json.loads((await self._client.request("$JS.API.STREAM.INFO.MESSAGES", b"")).data)
            stored = await self._database.fetchval(
                "SELECT sequence FROM checkpoints WHERE projection = 'messages'"
            )
            self.worst_lag = max(self.worst_lag, info["state"]["last_seq"] - stored)
            await asyncio.sleep(max(0.0, 0.02 - (time.perf_counter() - began)))


async def ask(client: Client, call: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = json.loads((await client.request(call.subject, json.dumps(body).encode(), timeout=20)).data)
    if "failure" in answer:
        raise RuntimeError(answer["failure"])
    found: dict[str, Any] = answer["ok"]
    return found


async def rebuild(client: Client) -> str:
    started = time.perf_counter()
    await ask(client, START_REBUILD, OPERATOR)
    while (held := (await ask(client, GET_REBUILD, OPERATOR))["rebuild"])["finished_at"] is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    took = time.perf_counter() - started
    different = [name for name, found in (held["comparison"] or {}).items() if not found["equal"]]
    return (
        f"{held['state']} in {took:.1f} s, reading at {held['points_per_s']:,.0f} points/s"
        f" ({held['points'] / took:,.0f} with comparing and exchange), different: {different or 'nothing'}"
    )


async def redecode(client: Client, metric: str) -> str:
    started = time.perf_counter()
    wanted = {"name": "custom", "settings": {"telemetry_path": "metrics", "renames": {"seq": metric}}}
    order = {
        "organization": ORGANIZATION,
        "actor": "admin",
        "integration": "hosted",
        "start": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        "decoder": wanted,
    }
    id = (await ask(client, ORDER_REDECODE, order))["id"]
    named = {"organization": ORGANIZATION, "actor": "admin", "id": id}
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            held = await ask(client, GET_REDECODE, named)
        except RuntimeError:
            continue  # its row is on its way
        if held["finished_at"] is not None:
            break
    took = time.perf_counter() - started
    points = 3 * held["messages"]
    return (
        f"{held['state']}, {held['messages']:,} messages in {took:.1f} s: {points / took:,.0f} points/s,"
        f" {held['added']:,} added, {held['removed']:,} removed, {held['changed']:,} changed"
    )


async def measure(server: NatsServer, postgres: Postgres, telemetry: int, count: int, rate: int) -> None:
    """CPU is told by message of the backlog: it counts less on how busy the machine is than the time does."""
    processes = {
        "telemetry": telemetry,
        "postgres": postgres.process.pid,
        "nats-server": server.process.pid,
    }

    def connect(user: str) -> Any:
        return nats.connect(
            server.url,
            nkeys_seed_str=server.seeds.platform[user],
            inbox_prefix=f"_INBOX.{user}".encode(),
        )

    gateway, ingest = await connect("gateway"), await connect("ingest")
    database = await asyncpg.connect(postgres.urls().projector.replace("+asyncpg", ""))
    while (await database.fetchval("SELECT coalesce(max(sequence), 0) FROM checkpoints")) < count:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    for name, live in (("alone", 0), (f"beside {rate:,} live messages/s", rate)):
        for what, work in (("rebuild", rebuild(gateway)), ("redecode", redecode(gateway, f"n{live}"))):
            leave, load = asyncio.Event(), Live(ingest, database, live)
            task = asyncio.create_task(load.run(leave)) if live else None
            before = {each: cpu_seconds(pid) for each, pid in processes.items()}
            print(f"{what} {name}: {await work}", flush=True)
            used = {each: (cpu_seconds(pid) - before[each]) / count * 1e6 for each, pid in processes.items()}
            print("  µs CPU a message: " + ", ".join(f"{each} {micros:.1f}" for each, micros in used.items()))
            leave.set()
            if task is not None:
                await task
                print(f"  live: {load.sent:,} sent, at most {load.worst_lag:,} messages behind", flush=True)
    await database.close()
    await gateway.close()
    await ingest.close()


async def make_organization(server: NatsServer) -> None:
    """The registry's, with the id that the backlog has."""
    client = await nats.connect(
        server.url,
        nkeys_seed_str=server.seeds.platform["credentials"],
        inbox_prefix=b"_INBOX.credentials",
    )
    event = Append(registry(ORGANIZATION, "organization", ORGANIZATION), OrganizationCreated(name="Bench"), 0)
    await EventLog(client, "REGISTRY").append(
        [event], cause=Cause("admin", "credentials"), now=datetime.now(UTC)
    )
    await client.close()


def main(arguments: Sequence[str]) -> int:
    numbers = [int(each) for each in arguments if each.isdigit()]
    count, rate = (*numbers, *(200_000, LIVE)[len(numbers) :])
    with started() as (server, postgres, secrets):
        running: list[subprocess.Popen[bytes]] = []
        try:
            asyncio.run(make_organization(server))
            asyncio.run(fill(server, count))
            http = ServicePorts(free_port(), {each: free_port() for each in SERVICES})
            environments = environment.services(server, postgres.urls(), secrets, http)
            running += [
                subprocess.Popen(
                    [sys.executable, "-m", f"services.{each}"],
                    env={**os.environ, **environments[each]},
                    stdout=subprocess.DEVNULL,
                )
                for each in ("credentials", "telemetry")
            ]
            asyncio.run(measure(server, postgres, running[-1].pid, count, rate))
        finally:
            for process in running:
                process.terminate()
                process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
