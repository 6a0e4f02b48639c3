"""How the logs and the database are: looked at now and then, told as metrics. Every replica tells the same.

What nobody could look at is not told: a gap says more than a figure of before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import asyncpg
from nats.aio.client import Client
from opentelemetry.metrics import CallbackOptions, Observation

from contracts.failures import Unavailable
from contracts.streams import STREAMS
from runtime import jetstream
from runtime.jetstream import ApiError, parse_time
from runtime.observe import log, meter
from services.telemetry.database import AWAY

_log = log(part="observing")
LOOK_S = 10.0
NAME = "telemetry"
Figures = dict[tuple[str, str], float]  # by metric and label

DATABASE = """
SELECT pg_database_size(current_database()) AS size, numbackends AS backends, xact_commit AS commits,
       xact_rollback AS rollbacks, blks_hit AS hits, blks_read AS reads, deadlocks,
       current_setting('max_connections')::int AS backends_max
FROM pg_stat_database WHERE datname = current_database()"""
TABLES = """
SELECT coalesce(parent.relname, relation.relname) AS name, sum(pg_total_relation_size(relation.oid)) AS size
FROM pg_class relation
LEFT JOIN pg_inherits ON pg_inherits.inhrelid = relation.oid
LEFT JOIN pg_class parent ON parent.oid = pg_inherits.inhparent
JOIN pg_namespace ON pg_namespace.oid = relation.relnamespace AND pg_namespace.nspname = 'public'
WHERE relation.relkind = 'r'
GROUP BY 1 ORDER BY 2 DESC LIMIT 20"""


class Observing:
    """`run()` is its task."""

    def __init__(self, client: Client, pool: asyncpg.Pool) -> None:
        self._client, self._pool = client, pool
        self._streams: Figures = {}
        self._database: Figures = {}
        self._instruments()

    async def run(self) -> None:
        while True:
            self._streams, self._database = await self._look_at_streams(), await self._look_at_database()
            await asyncio.sleep(LOOK_S)

    async def _look_at_streams(self) -> Figures:
        found: Figures = {}
        for stream in STREAMS:
            if NAME not in stream.readers:
                continue
            try:
                info = await jetstream.request(self._client, f"$JS.API.STREAM.INFO.{stream.name}")
            except (Unavailable, ApiError) as error:
                _log.warning("a stream cannot be looked at", stream=stream.name, error=repr(error))
                continue
            found |= {(metric, stream.name): value for metric, value in figures(info).items()}
        return found

    async def _look_at_database(self) -> Figures:
        try:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(DATABASE)
                tables = await connection.fetch(TABLES)
        except AWAY as error:
            _log.warning("the database cannot be looked at", error=repr(error))
            return {}
        assert row is not None  # a database always has its row
        whole = {(name, ""): float(row[name]) for name in row.keys()}  # noqa: SIM118  # a Record is no dict
        return {**whole, **{("table", table["name"]): float(table["size"]) for table in tables}}

    def _instruments(self) -> None:
        for metric, unit, description in STREAM_METRICS:
            meter.create_observable_gauge(
                f"hybridmq.stream.{metric}",
                callbacks=[self._told(lambda: self._streams, metric, "stream")],
                unit=unit,
                description=description,
            )
        for metric, name, unit, description in DATABASE_METRICS:
            make: Any = (
                meter.create_observable_counter if metric in COUNTED else meter.create_observable_gauge
            )
            make(
                f"hybridmq.database.{name}",
                callbacks=[
                    self._told(lambda: self._database, metric, "table" if metric == "table" else None)
                ],
                unit=unit,
                description=description,
            )

    @staticmethod
    def _told(
        held: Callable[[], Figures], metric: str, label: str | None
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [
            Observation(value, {label: name} if label else {})
            for (each, name), value in held().items()
            if each == metric
        ]


STREAM_METRICS = (
    ("messages", "{message}", "Messages that a stream holds"),
    ("size", "By", "Bytes that a stream holds"),
    ("size.limit", "By", "Bytes that a stream may hold: above it the oldest go first"),
    ("last.sequence", "", "Sequence of the newest message"),
    ("oldest.age", "s", "Age of the oldest message"),
    ("copies.current", "", "Copies that have all there is, the leader's among them"),
    ("copies.wanted", "", "Copies that there should be"),
    ("source.pending", "{message}", "Devices' messages that the broker has and the log has not yet"),
)
DATABASE_METRICS = (
    ("size", "size", "By", "Of the database on disk"),
    ("table", "table.size", "By", "Of the largest tables, their partitions and indexes among it"),
    ("backends", "connections", "", "Sessions, of everybody"),
    ("backends_max", "connections.limit", "", "Sessions that there may be"),
    ("commits", "commits", "", "Transactions that were committed"),
    ("rollbacks", "rollbacks", "", "Transactions that were not"),
    ("hits", "blocks.hit", "", "Blocks that were in PostgreSQL's memory"),
    ("reads", "blocks.read", "", "Blocks that were not"),
    ("deadlocks", "deadlocks", "", "Deadlocks"),
)
COUNTED = {"commits", "rollbacks", "hits", "reads", "deadlocks"}


def figures(info: dict[str, Any]) -> dict[str, float]:
    """Of an answer to STREAM.INFO."""
    state, config, cluster = info["state"], info["config"], info.get("cluster") or {}
    told: dict[str, float] = {
        "messages": state["messages"],
        "size": state["bytes"],
        "last.sequence": state["last_seq"],
        "copies.current": 1 + sum(bool(copy.get("current")) for copy in cluster.get("replicas") or []),
        "copies.wanted": config.get("num_replicas", 1),
    }
    if config.get("max_bytes", -1) > 0:
        told["size.limit"] = config["max_bytes"]
    if state["messages"]:
        told["oldest.age"] = max(0.0, time.time() - parse_time(state["first_ts"]).timestamp())
    if sources := info.get("sources"):
        told["source.pending"] = sum(source.get("lag", 0) for source in sources)
    return told
