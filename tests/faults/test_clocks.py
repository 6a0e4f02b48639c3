"""FAULTS 12: the clock of telemetry is off by an hour or a day: what it stores is what it would store otherwise."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.telemetry import LIST_TELEMETRY, ListTelemetry
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from tests.conftest import RunService
from tests.telemetry.world import World, organization, world

pytestmark = pytest.mark.faults
LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@pytest.fixture(params=["+1h", "-1h", "+1d", "-1d"])
async def there(
    request: pytest.FixtureRequest, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> AsyncIterator[World]:
    if LIBRARY is None:
        pytest.skip("libfaketime is not installed: run tests/support/install.sh as root")
    clock = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": request.param, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    service = run_service("telemetry", own_nats, database, **clock)
    said = json.loads(service.process.log.read_text().splitlines()[-1])["timestamp"]
    off = abs((datetime.fromisoformat(said) - datetime.now(UTC)).total_seconds())
    assert off > 3000, "the control: its clock is off"
    async with world(own_nats, database) as made:
        yield made
    service.process.stop()


async def test_times_and_order_are_those_of_the_log(there: World) -> None:
    org = organization()
    sent = [random.random() for _ in range(50)]
    begun = datetime.now(UTC)
    for value in sent:
        last = await there.hosted(org, "d1", {"v": value})
    future = begun + timedelta(days=3)
    await there.hosted(org, "d1", {"v": 0, "ts": future.isoformat()})
    past = begun - timedelta(minutes=30)
    await there.stored(await there.hosted(org, "d1", {"v": 1, "ts": past.isoformat()}), timeout_s=60)
    page = await there.ask(LIST_TELEMETRY, ListTelemetry(organization=org, provenance=True, limit=100))
    rows = sorted(page.items, key=lambda row: row.sequence)
    assert [row.metrics["v"] for row in rows] == [*sent, 0, 1]
    assert rows[49].sequence == last
    assert all(
        begun - timedelta(seconds=5) < row.timestamp < begun + timedelta(minutes=5) for row in rows[:51]
    )
    assert [row.time_replaced for row in rows] == [False] * 50 + [True, False], (
        "the device's own clock was ahead"
    )
    assert rows[50].provenance is not None
    assert "time_future" in rows[50].provenance.flags
    assert rows[51].timestamp == past
