"""Rows equal the log's, whoever dies when; what cannot be read is a dead letter; no change goes unseen."""

import asyncio
import random
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import pytest

from contracts import dead_letters
from deploy.local import environment
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls, Postgres
from runtime.pull import Pull
from services.telemetry.database import plain_url
from tests.conftest import MakeNats, RunService
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.service import run_module
from tests.telemetry.world import World, organization, world

MakeDatabase = Callable[[], DatabaseUrls]


@pytest.fixture
def make_database(postgres_server: Postgres, migrated_template: str) -> Iterator[MakeDatabase]:
    names: list[str] = []

    def make() -> DatabaseUrls:
        names.append(f"test_{uuid.uuid4().hex}")
        postgres_server.create_database(names[-1], template=migrated_template)
        return postgres_server.urls(names[-1])

    yield make
    for name in names:
        postgres_server.drop_database(name)


@pytest.fixture
async def log(own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    """The module's log and database; a test runs the service itself."""
    async with world(own_nats, database) as made:
        yield made


@pytest.mark.faults
async def test_a_kill_between_copy_and_commit_loses_and_doubles_nothing(
    log: World, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    service = run_service("telemetry", own_nats, database)
    await log.stored(await log.fill(org, 500, devices=5))
    holder = await asyncpg.connect(plain_url(database.owner))
    lock = holder.transaction()
    await lock.start()
    await holder.execute("LOCK TABLE devices IN EXCLUSIVE MODE")  # COPYs are done, their UPDATE waits
    last = await log.fill(org, 500, devices=5)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE devices%'"
    )
    await eventually(lambda: log.database.fetchval(waiting))
    service.process.kill()
    await lock.rollback()
    await holder.close()
    assert (await log.counts(org))[0] == 500, "an unfinished transaction is seen"
    service.start()
    await log.stored(last)
    assert await log.counts(org) == (1000, 1000, 1000)
    service.process.stop()


@pytest.mark.faults
async def test_kills_at_random_lose_and_double_nothing(
    log: World,
    run_service: RunService,
    own_nats: NatsServer,
    database: DatabaseUrls,
    record_property: Callable[[str, object], None],
) -> None:
    dice = random.Random(seed := random.randrange(10**6))
    record_property("seed", seed)
    org = organization()
    service = run_service("telemetry", own_nats, database, BATCH_MESSAGES_MAX="200")
    filling = asyncio.create_task(_fill_slowly(log, org, 30))
    for _ in range(5):
        await asyncio.sleep(dice.uniform(0.05, 0.8))
        service.process.kill()
        service.start()
    last = await filling
    await log.stored(last)
    assert await log.counts(org) == (30 * 300, 30 * 300, 30 * 300 - 30 * 2)
    letters = [letter for letter in await _dead_letters(own_nats) if letter[0].split(".")[1] == org]
    assert len(letters) == 30 * 2
    service.process.stop()


async def _fill_slowly(log: World, org: str, rounds: int) -> int:
    for _ in range(rounds):
        last = await log.fill(org, 300, bad_every=100)
        await asyncio.sleep(0.1)  # so that the kills meet work of every kind
    return last


@pytest.mark.faults
async def test_another_pass_and_two_replicas_at_once_give_the_same_tables(
    log: World, run_service: RunService, own_nats: NatsServer, make_database: MakeDatabase
) -> None:
    org = organization()
    await log.hosted(org, "d1", {"status": "online"}, "status")
    await log.bridged(org, "int_unknown0", "devices/r/data", {"t": 1, "ts": 1772359200}, retain=True)
    await log.bridged(org, "int_unknown0", "devices/r/data", {"t": 1, "ts": 1772359200}, retain=True)
    last = await log.fill(org, 3000, bad_every=50)
    dumps = []
    for replicas in (1, 2):
        urls = make_database()
        services = [
            run_service("telemetry", own_nats, urls, BATCH_MESSAGES_MAX="300") for _ in range(replicas)
        ]
        async with world(own_nats, urls) as there:
            await there.stored(last)
            dumps.append(await there.dump())
        for service in services:
            service.process.stop()
    assert dumps[0] == dumps[1]
    assert len([row for row in dumps[0][0] if row[1] == "r"]) == 1, "a retained copy is no new reading"


@pytest.mark.faults
async def test_messages_wait_in_the_log_while_the_database_is_away(
    run_service: RunService, own_nats: NatsServer, log: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from deploy.local.ports import free_port
    from deploy.local.secrets import Secrets

    folder = tmp_path_factory.mktemp("postgres")
    postgres = Postgres(folder, free_port(), Secrets(folder / "secrets"), settings={"shared_buffers": "32MB"})
    # In threads: a loop that stands still for as long loses its connection to NATS.
    await asyncio.to_thread(postgres.start)
    try:
        await asyncio.to_thread(
            run_module, "services.telemetry.migrate", environment.migrate(postgres.urls())
        )
        service = await asyncio.to_thread(run_service, "telemetry", own_nats, postgres.urls())
        org = organization()
        await log.fill(org, 300)
        postgres.kill()
        last = await log.fill(org, 700)
        await eventually(lambda: not _ready(service.health_url))
        await asyncio.to_thread(postgres.start)
        async with world(own_nats, postgres.urls()) as there:
            await there.stored(last)
            assert await there.counts(org) == (1000, 1000, 1000)
        await eventually(lambda: _ready(service.health_url))
        service.process.stop()
    finally:
        postgres.stop()


async def test_dead_letters_and_rows_are_all_that_was_sent(
    log: World, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    service = run_service("telemetry", own_nats, database)
    last = await log.fill(org, 1000, bad_every=10)
    await log.bridged(org, "int_unknown0", "devices/d/a\0b", {"t": 1})  # a text that the database cannot hold
    last = await log.write(f"message.0.{org}.int_strange", {}, b"no headers of ours")
    await log.stored(last)
    service.process.stop()
    messages, _, samples = await log.counts(org)
    letters = {seq: (h, data) for subject, h, data, seq in await _dead_letters(own_nats) if org in subject}
    assert (messages, samples + len(letters)) == (1002, 1002)
    reasons = sorted(headers[dead_letters.REASON] for headers, _ in letters.values())
    assert reasons == ["event.unreadable"] + ["payload.not_json"] * 99 + ["value.invalid"]
    headers, payload = next(v for v in letters.values() if v[0][dead_letters.REASON] == "payload.not_json")
    assert payload == b"{nope"
    assert headers[dead_letters.DECODER] == "standard@2"
    assert headers[dead_letters.DETAIL]
    assert int(headers[dead_letters.ORIGIN_SEQUENCE]) > 0
    failures = await log.database.fetchval(
        "SELECT count(failure) FROM messages m JOIN organizations o ON o.id = organization WHERE name = $1",
        org,
    )
    assert failures == len(letters)


@pytest.mark.faults
async def test_a_stream_made_anew_is_noticed_and_read_from_its_beginning(
    make_nats: MakeNats, run_service: RunService, make_database: MakeDatabase
) -> None:
    server, urls, org = make_nats(provisioned=True), make_database(), organization()
    service = run_service("telemetry", server, urls)
    async with world(server, urls) as there:
        await there.stored(await there.fill(org, 100))
    server.stop()
    shutil.rmtree(server._store)
    server.start()
    run_module("runtime.provision", environment.provision(server))
    async with world(server, urls) as there:
        await there.fill(org, 50)
        await eventually(lambda: _is(there, org, (150, 150, 150)), timeout_s=30)
        kinds = "SELECT count(*) FROM activity WHERE kind = 'log.epoch_changed'"
        await eventually(lambda: there.database.fetchval(kinds))
        assert await there.database.fetchval("SELECT count(*) FROM epochs WHERE stream = 'MESSAGES'") == 2
    service.process.stop()


async def _is(there: World, org: str, wanted: tuple[int, int, int]) -> bool:
    return await there.counts(org) == wanted


def _ready(health_url: str) -> bool:
    import httpx

    return httpx.get(f"{health_url}/readyz", timeout=5).status_code == 200


async def _dead_letters(server: NatsServer) -> list[tuple[str, dict[str, str], bytes, int]]:
    async with platform_client(server, "telemetry") as client:
        pull = Pull(client, "DEADLETTERS", start=1)
        found = []
        while entries := await pull.next_batch(1000, timeout_s=1.0):
            found += [(entry.subject, entry.headers, entry.data, entry.sequence) for entry in entries]
        await pull.close()
        return found
