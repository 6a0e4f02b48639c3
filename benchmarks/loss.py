"""The oracle: what the ledger says against what stands in PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from benchmarks.flood import Report

# The read model, as services/telemetry/migrations make it.
COUNT = "SELECT count(*) FROM messages"
READINGS = "SELECT count(*) FROM readings"
SEQUENCES = """
    SELECT number::bigint FROM readings JOIN metrics ON metrics.id = readings.metric WHERE metrics.name = 'seq'
"""


@dataclass(frozen=True)
class Found:
    messages: int
    readings: int
    sequences: list[int]


class Rows:
    """What the projector has written."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self._readings_before = 0

    @classmethod
    async def connect(cls, database_url: str) -> Rows:
        return cls(await asyncpg.connect(database_url))

    async def close(self) -> None:
        await self._connection.close()

    async def count(self) -> int:
        self._readings_before = await self._connection.fetchval(READINGS)
        count: int = await self._connection.fetchval(COUNT)
        return count

    async def until(self, count: int, timeout_s: float) -> bool:
        """Whether there were so many messages in time. Asks seldom: counting costs the measured machine."""
        deadline = time.monotonic() + timeout_s
        while await self._connection.fetchval(COUNT) < count:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.2)
        return True

    async def since(self, count: int) -> Found:
        """What came after the call of `count`, which gave this number."""
        return Found(
            messages=await self._connection.fetchval(COUNT) - count,
            readings=await self._connection.fetchval(READINGS) - self._readings_before,
            sequences=[record[0] for record in await self._connection.fetch(SEQUENCES)],
        )


def compare(reports: Sequence[Report], found: Found, qos: int) -> dict[str, int]:
    """Counts that are all 0 in a good run; QoS 0 is never acknowledged, `lost` is of what was sent."""
    ranges = [range(report.first_sequence, report.first_sequence + report.sent) for report in reports]
    ours = [sequence for sequence in found.sequences if any(sequence in each for each in ranges)]
    stored = set(ours)
    promised = sum(
        len(set(range(report.first_sequence, report.first_sequence + kept)) - stored)
        for report in reports
        for kept in [report.acknowledged if qos else report.sent]
    )
    others = [sequence for sequence in found.sequences if sequence not in stored]
    workers = {report.worker for report in reports}
    invented = sum(1 for sequence in others if sequence // 10**9 - 1000 in workers)
    return {
        "lost": promised,
        "invented": invented,
        "duplicates": len(ours) - len(stored),
        "readings missing": 3 * found.messages - found.readings,
    }
