"""What a rebuild makes of redecoded history, and a redecode while read models are rebuilt."""

from collections.abc import AsyncIterator

import pytest

from contracts.integrations import DecoderChoice
from contracts.organizations import PLATFORM
from contracts.rebuild import GET_REBUILD, START_REBUILD, GetRebuild, Rebuild, StartRebuild
from contracts.redecode import CANCEL_REDECODE, NamedRedecode
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from tests.conftest import RunService
from tests.support.eventually import eventually
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


async def rebuilt(there: World) -> Rebuild:
    operator = {"organization": PLATFORM, "actor": "admin"}
    await there.ask(START_REBUILD, StartRebuild(**operator))

    async def ended() -> Rebuild | None:
        found = (await there.ask(GET_REBUILD, GetRebuild(**operator))).rebuild
        return found if found is not None and found.finished_at is not None else None

    found = await eventually(ended, timeout_s=60)
    assert found is not None
    return found


async def test_a_rebuild_gives_what_was_redecoded(there: World) -> None:
    org = await new_organization(there)
    await there.stored(await there.fill(org, 3000, devices=5))
    first = await order(there, org, earlier(hours=1), RENAMED)
    await in_state(there, org, first, "done")
    before = await there.dump()
    assert {metrics for _, _, metrics in await readings(there, org)} == {("number", "s")}
    done = await rebuilt(there)
    assert done.comparison is not None
    assert {table for table, found in done.comparison.items() if not found.equal} == set()
    assert await there.dump() == before


async def test_a_rebuild_honours_where_a_redecode_was_cancelled(there: World) -> None:
    org = await new_organization(there)
    await there.stored(await there.fill(org, 12_000, devices=5))
    id = await order(there, org, earlier(hours=1), RENAMED)
    await eventually(lambda: _messages(there, id, 1))
    await there.ask(CANCEL_REDECODE, NamedRedecode(organization=org, actor="key:x", id=id))
    ended = await in_state(there, org, id, "cancelled")
    await eventually(lambda: there.database.fetchval("SELECT reported FROM redecodes WHERE id = $1", id))
    before = await readings(there, org)
    assert sum(metrics == ("number", "s") for _, _, metrics in before) == ended.messages < 12_000
    done = await rebuilt(there)
    assert done.comparison is not None
    assert done.comparison["samples"].equal
    assert await readings(there, org) == before


async def test_a_redecode_waits_while_read_models_are_rebuilt(there: World) -> None:
    org = await new_organization(there)
    await there.stored(await there.fill(org, 6000, devices=5))
    operator = {"organization": PLATFORM, "actor": "admin"}
    await there.ask(START_REBUILD, StartRebuild(**operator))
    id = await order(there, org, earlier(hours=1), RENAMED)
    done = await in_state(there, org, id, "done")
    found = (await there.ask(GET_REBUILD, GetRebuild(**operator))).rebuild
    assert found is not None
    assert found.state == "done"
    assert found.finished_at is not None
    assert done.began_at is not None
    assert done.began_at >= found.finished_at
    assert {metrics for _, _, metrics in await readings(there, org)} == {("number", "s")}
    assert done.messages == 6000


async def _messages(there: World, id: str, least: int) -> bool:
    row = await there.database.fetchrow("SELECT messages, state FROM redecodes WHERE id = $1", id)
    return row is not None and (row["messages"] >= least or row["state"] == "done")
