"""A replica that joins takes its share of the links."""

from collections import Counter

from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.ingest.ledger import Ledger
from tests.ingest.replicas import ALL, WINDOW, status, until_up
from tests.support.eventually import eventually


async def test_a_second_replica_takes_its_share_and_nothing_is_lost_on_the_way(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(settings=WINDOW)
    first = run_service("ingest", own_nats)
    links = [await world.create(broker.port, topics=ALL) for _ in range(12)]
    await until_up(world, *links)
    async with Ledger(broker.port, concurrency=5) as ledger:
        second = run_service("ingest", own_nats)

        async def shared() -> bool:
            found = [await status(world, link) for link in links]
            owners = Counter(each.owner for each in found if each is not None and each.state == "up")
            return len(owners) == 2 and owners.total() == len(links)

        await eventually(shared, timeout_s=20)
    for link in links:
        verdict = await ledger.verdict(world, link, timeout_s=10)
        assert (verdict.lost, verdict.doubled) == (0, 0), verdict
    assert max(Counter(await ups(world)).values()) <= 2  # each moved once at most
    first.process.stop()
    second.process.stop()


async def ups(world: World) -> list[str]:
    return [event.subject or "" for event in await world.activity() if event.kind == "link.up"]
