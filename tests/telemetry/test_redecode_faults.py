"""SIGKILL in the midst of a redecode under live load (FAULTS 2)."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from contracts.integrations import DecoderChoice
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from tests.conftest import RunService
from tests.support.eventually import eventually
from tests.support.ledger import Ledger, Verdict, judge
from tests.support.service import Service
from tests.telemetry.redecoding import earlier, in_state, new_organization, order, readings
from tests.telemetry.world import World, world

pytestmark = pytest.mark.faults

RENAMED = DecoderChoice(name="custom", settings={"renames": {"n": "number"}})


@pytest.fixture(scope="module")
def telemetry(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> Service:
    run_service("credentials", own_nats)
    return run_service("telemetry", own_nats, database)


@pytest.fixture
async def there(telemetry: Service, own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    async with world(own_nats, database) as made:
        yield made


async def test_kills_under_load_lose_double_and_invent_nothing(
    there: World,
    telemetry: Service,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    dice = random.Random(seed := random.randrange(10**6))
    record_property("seed", seed)
    org = await new_organization(there)
    await there.stored(await there.fill(org, 15_000, devices=30))
    ledger, leave = Ledger(tmp_path_factory.mktemp("load") / "ledger"), asyncio.Event()

    async def load() -> None:
        number = 0
        while not leave.is_set():
            number += 1
            ledger.sent.append(number)
            await there.hosted(org, "live", {"n": number})
            ledger.acknowledge([number])

    loading = asyncio.create_task(load())
    id = await order(there, org, earlier(hours=1), RENAMED)
    kills = 0
    for part in (2000, 6000, 10_000):
        await eventually(lambda: _messages(there, id, part), timeout_s=30)  # noqa: B023
        await asyncio.sleep(dice.uniform(0, 0.2))
        telemetry.process.kill()
        telemetry.start()
        kills += 1
    done = await in_state(there, org, id, "done")
    leave.set()
    await loading
    await there.stored(await there.hosted(org, "d0", {"n": 0, "s": "x"}))
    again = {sequence for _, sequence, metrics in await readings(there, org) if "number" in metrics}
    assert (done.messages, done.changed) == (len(again), 0)
    assert len(again) >= 15_000
    assert (done.added, done.removed) == (done.messages, done.messages)
    rows = await there.database.fetch(
        "SELECT numbers[1] AS n, sequence FROM samples s JOIN devices d ON d.id = s.device"
        " JOIN organizations o ON o.id = s.organization WHERE o.name = $1 AND d.name = 'live' ORDER BY sequence",
        org,
    )
    assert judge(ledger, [int(row["n"]) for row in rows]) == Verdict(0, 0, 0, 0)
    messages, distinct, samples = await there.counts(org)
    assert messages == distinct == samples
    assert kills == 3


async def _messages(there: World, id: str, least: int) -> bool:
    row = await there.database.fetchrow("SELECT messages, state FROM redecodes WHERE id = $1", id)
    return row is not None and (row["messages"] >= least or row["state"] == "done")
