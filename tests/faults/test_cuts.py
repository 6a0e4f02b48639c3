"""FAULTS 10: the network is cut, one way too, between telemetry and the log, and between it and the database."""

from __future__ import annotations

import asyncio
import time

import pytest

from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from tests.conftest import RunService
from tests.support.cut import Cut
from tests.telemetry.world import World, organization, world

pytestmark = pytest.mark.faults
CUT_S = 8.0
BACK_S = 20.0  # five on a machine that does nothing else; several reconnect pauses here


@pytest.mark.parametrize("between", ["log", "database"])
@pytest.mark.parametrize("way", ["both", "up", "down", "reset"])
async def test_nothing_is_lost_and_work_goes_on_when_it_is_mended(
    run_service: RunService, own_nats: NatsServer, database: DatabaseUrls, between: str, way: str
) -> None:
    port = (
        own_nats.ports.client if between == "log" else int(database.projector.rsplit(":", 1)[1].split("/")[0])
    )
    async with Cut(port) as network, world(own_nats, database) as there:
        extra = {"NATS_URL": own_nats.url} if between == "log" else {"DATABASE_URL": database.projector}
        through = {name: url.replace(f":{port}", f":{network.port}") for name, url in extra.items()}
        service = await asyncio.to_thread(run_service, "telemetry", own_nats, database, **through)
        org = organization()
        await there.stored(await there.fill(org, 500), timeout_s=60)
        if way == "reset":
            network.reset()
        else:
            network.cut(up=way in ("both", "up"), down=way in ("both", "down"))
        last = await there.fill(org, 2000)
        await asyncio.sleep(CUT_S)
        if way in ("both", "down"):  # what it asked for before comes without another word of its own
            assert await behind(there, last), "the control: it was cut"
        network.heal()
        begun = time.monotonic()
        await there.stored(last, timeout_s=60)
        took = time.monotonic() - begun
        print(f"{between}, {way}: back after {took:.1f} s")  # noqa: T201 - asked for by FAULTS
        assert await there.counts(org) == (2500, 2500, 2500)
        assert took < BACK_S
        service.process.stop()


async def behind(there: World, last: int) -> bool:
    held = await there.database.fetchval("SELECT sequence FROM checkpoints WHERE projection = 'messages'")
    return bool(held < last)
