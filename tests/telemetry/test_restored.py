"""Logs and databases restored from backups: noticed, nothing twice, nothing passed over (FAULTS 22)."""

import asyncio
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import environment
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls, Postgres
from deploy.local.stack import says_ready
from tests.conftest import MakeNats, RunService
from tests.runtime import test_backup
from tests.support.eventually import eventually
from tests.support.service import run_module
from tests.telemetry.world import World, organization, world

pytestmark = pytest.mark.faults


@pytest.fixture
def log(make_nats: MakeNats) -> Iterator[NatsServer]:
    server = make_nats(provisioned=True)
    yield server
    server.stop()


@pytest.fixture
def new_database(postgres_server: Postgres, migrated_template: str) -> Iterator[Callable[[str], str]]:
    """Makes a database like another one, and says its name."""
    names: list[str] = []

    def make(template: str = migrated_template) -> str:
        names.append(f"test_{uuid.uuid4().hex}")
        postgres_server.create_database(names[-1], template=template)
        return names[-1]

    yield make
    for name in names:
        postgres_server.drop_database(name)


class Backup:
    """Of a server's folder, with all streams: taken and put back while it does not run."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self._server, self._copy = server, folder / uuid.uuid4().hex

    def take(self) -> None:
        self._server.stop()
        shutil.copytree(self._server._store, self._copy)
        self._server.start()

    def put_back(self) -> None:
        self._server.kill()
        shutil.rmtree(self._server._store)
        shutil.copytree(self._copy, self._server._store)
        self._server.start()


async def numbers(there: World, org: str) -> list[int]:
    """What the messages of an organization say, in the order of epochs and sequences."""
    rows = await there.database.fetch(
        "SELECT payload FROM messages m JOIN organizations o ON o.id = m.organization WHERE o.name = $1"
        " ORDER BY epoch, sequence",
        org,
    )
    return [int(row["payload"]) for row in rows]


async def write(there: World, org: str, *wanted: int) -> int:
    """Bare scalars, each a reading; the last one's sequence."""
    for number in wanted:
        last = await there.hosted(org, "d1", str(number).encode(), "sensor.n")
    return last


async def samples(there: World, org: str) -> int:
    found: int = await there.database.fetchval(
        "SELECT count(*) FROM samples s JOIN organizations o ON o.id = s.organization WHERE o.name = $1", org
    )
    return found


async def epochs(there: World) -> list[tuple[int, int | None, str]]:
    """First sequence, last one that the stream still has, why: of MESSAGES, oldest first."""
    rows = await there.database.fetch(
        "SELECT first, shared_until, change FROM epochs WHERE stream = 'MESSAGES' ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def test_a_log_restored_while_it_is_read_goes_on_where_it_parts_from_what_is_stored(
    log: NatsServer, database: DatabaseUrls, run_service: RunService, tmp_path: Path
) -> None:
    org, backup = organization(), Backup(log, tmp_path)
    service = run_service("telemetry", log, database)
    async with world(log, database) as there:
        await there.stored(await write(there, org, *range(100)))
    backup.take()
    async with world(log, database) as there:
        await there.stored(await write(there, org, *range(100, 160)))
    backup.put_back()
    async with world(log, database) as there:
        await write(there, org, *range(1000, 1030))
        wanted = [*range(160), *range(1000, 1030)]
        await eventually(lambda: _is(there, org, wanted), timeout_s=40)
        assert await samples(there, org) == len(wanted)
        assert await epochs(there) == [(1, 100, "none"), (101, None, "restored")]
        noticed = "SELECT details FROM activity WHERE kind = 'log.epoch_changed' AND details->>'stream' = 'MESSAGES'"
        await eventually(lambda: there.database.fetchval(noticed), timeout_s=30)
        assert '"start": 101' in await there.database.fetchval(noticed)
    assert says_ready(service.port)
    service.process.stop()


async def test_a_restored_log_that_outgrew_the_checkpoint_unseen_is_noticed_by_its_messages_time(
    log: NatsServer,
    new_database: Callable[..., str],
    postgres_server: Postgres,
    run_service: RunService,
    tmp_path: Path,
) -> None:
    org, backup = organization(), Backup(log, tmp_path)
    urls = postgres_server.urls(new_database())
    service = run_service("telemetry", log, urls)
    async with world(log, urls) as there:
        await there.stored(await write(there, org, *range(40)))
    backup.take()
    async with world(log, urls) as there:
        await there.stored(await write(there, org, *range(40, 60)))
    service.process.stop()
    backup.put_back()
    async with world(log, urls) as there:
        last = await write(there, org, *range(1000, 1070))
        assert last == 110, "the restored log has grown past the checkpoint, which was 60"
        service.start()
        await eventually(lambda: _is(there, org, [*range(60), *range(1000, 1070)]), timeout_s=30)
    # a second time, to before the first parting
    early = Backup(log, tmp_path)
    early.take()
    service.process.stop()
    backup.put_back()
    async with world(log, urls) as there:
        await write(there, org, *range(2000, 2005))
        service.start()
        wanted = [*range(60), *range(1000, 1070), *range(2000, 2005)]
        await eventually(lambda: _is(there, org, wanted), timeout_s=30)
        assert await epochs(there) == [(1, 40, "none"), (41, 40, "restored"), (41, None, "restored")]
        assert await samples(there, org) == len(wanted)
    service.process.stop()


async def test_a_database_restored_to_an_earlier_moment_reads_the_rest_from_the_log(
    log: NatsServer,
    new_database: Callable[..., str],
    postgres_server: Postgres,
    run_service: RunService,
    tmp_path: Path,
) -> None:
    org, backup = organization(), Backup(log, tmp_path)
    name = new_database()
    urls = postgres_server.urls(name)
    service = run_service("telemetry", log, urls)
    async with world(log, urls) as there:
        await there.stored(await write(there, org, *range(30)))
    backup.take()
    async with world(log, urls) as there:
        await there.stored(await write(there, org, *range(30, 50)))
    service.process.stop()
    earlier = postgres_server.urls(new_database(name))  # as it is now: 50
    async with world(log, urls) as there:
        await write(there, org, *range(50, 80))
    service = run_service("telemetry", log, earlier)
    async with world(log, earlier) as there:
        await eventually(lambda: _is(there, org, [*range(80)]), timeout_s=30)
        assert await epochs(there) == [(1, None, "none")]
    service.process.stop()
    # and the log to a moment before the database's: both from different moments
    backup.put_back()
    async with world(log, urls) as there:
        await write(there, org, *range(1000, 1100))
    service = run_service("telemetry", log, urls)
    async with world(log, urls) as there:
        await eventually(lambda: _is(there, org, [*range(50), *range(1000, 1100)]), timeout_s=30)
    service.process.stop()


async def test_all_of_nats_is_lost_and_restored_under_running_services(
    log: NatsServer, database: DatabaseUrls, run_service: RunService, tmp_path: Path
) -> None:
    """The guide's steps for one machine: nothing doubled, nothing passed over, no service started anew."""
    org = organization()
    service = run_service("telemetry", log, database)
    run_module("runtime.provision", environment.provision(log))
    async with world(log, database) as there:
        await there.stored(await write(there, org, *range(50)))
    for command in test_backup.SAVE:
        await test_backup.backup(log, command, tmp_path)
    async with world(log, database) as there:
        await there.stored(await write(there, org, *range(50, 53)))
    log.kill()
    shutil.rmtree(log._store)
    log.start()
    for command in test_backup.RESTORE:
        await test_backup.backup(log, command, tmp_path)
    run_module("runtime.provision", environment.provision(log))
    async with world(log, database) as there:
        await write(there, org, *range(100, 120))
        await eventually(lambda: _is(there, org, [*range(53), *range(100, 120)]), timeout_s=60)
        assert await samples(there, org) == 73
    await eventually(lambda: asyncio.to_thread(says_ready, service.port), timeout_s=30)
    service.process.stop()


async def _is(there: World, org: str, wanted: list[int]) -> bool:
    return await numbers(there, org) == wanted
