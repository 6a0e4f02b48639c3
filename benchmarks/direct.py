"""The baseline: Mosquitto → aiomqtt → COPY, as a script that keeps no log; a kill loses what it holds.

Run as `python -m benchmarks.direct <mqtt port> <database URL> <topic prefix> <messages>`: it prints `ready`,
and when it has stored that many messages, or heard nothing for `IDLE_S`, its result as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import datetime
from typing import Any

import aiomqtt
import asyncpg
import msgspec
import uvloop

IDLE_S = 5  # the flood pauses for milliseconds; after this, what is missing is lost
GATHER_S = 0.02  # as the prototype of the projector gathers

TABLES = """
DROP TABLE IF EXISTS direct_messages, direct_readings;
CREATE TABLE direct_messages (
  seq bigint, organization text, device text, topic text, received timestamptz, payload bytea);
CREATE INDEX ON direct_messages (organization, received DESC);
CREATE TABLE direct_readings (
  organization text, device text, metric text, time timestamptz, value float8, seq bigint);
CREATE INDEX ON direct_readings (organization, device, metric, time DESC);
"""


async def run(port: int, database: str, prefix: str, messages: int) -> dict[str, float]:
    connection = await asyncpg.connect(database)
    await connection.execute(TABLES)
    taken: list[tuple[str, bytes]] = []
    stored = 0
    first = last = cpu = 0.0
    arrived = asyncio.Event()

    async def store() -> None:
        nonlocal stored, last
        while stored < messages:
            await asyncio.wait_for(arrived.wait(), IDLE_S if stored else None)
            await asyncio.sleep(GATHER_S)
            arrived.clear()
            batch, taken[:] = taken[:], []
            raw, readings = rows(batch)
            async with connection.transaction():
                await connection.copy_records_to_table("direct_readings", records=readings)
                await connection.copy_records_to_table("direct_messages", records=raw)
            stored += len(batch)
            last = time.monotonic()

    async def receive(client: aiomqtt.Client) -> None:
        nonlocal first, cpu
        async for message in client.messages:
            if not first:
                first, cpu = time.monotonic(), time.process_time()
            taken.append((str(message.topic), bytes(message.payload)))
            arrived.set()

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(f"{prefix}/#", qos=1)
        print("ready", flush=True)
        receiving = asyncio.create_task(receive(client))
        try:
            await store()
        except TimeoutError:
            print(f"direct: {messages - stored} messages never came", file=sys.stderr, flush=True)
        receiving.cancel()
    await connection.close()
    return {
        "messages": stored,
        "seconds": last - first,
        "cpu_seconds": time.process_time() - cpu,
    }


_decode = msgspec.json.Decoder().decode


def rows(batch: list[tuple[str, bytes]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    raw, readings = [], []
    for topic, payload in batch:
        organization, _, device, *_ = topic.split("/")
        content = _decode(payload)
        moment = datetime.fromisoformat(content["timestamp"])
        for metric, value in content["metrics"].items():
            readings.append((organization, device, metric, moment, float(value), 0))
        raw.append((0, organization, device, topic, moment, payload))
    return raw, readings


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))))
