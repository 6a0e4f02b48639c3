"""The tables: made twice without harm, and closed to everybody but their own organization."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from deploy.local import environment
from deploy.local.postgres import DatabaseUrls
from services.telemetry.database import plain_url
from services.telemetry.partitions import Partitions, tidy
from tests.support.service import run_module


@pytest.fixture
async def projector(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(plain_url(database.projector))
    yield connection
    await connection.close()


@pytest.fixture
async def query(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(plain_url(database.query))
    yield connection
    await connection.close()


def test_migrating_twice_is_harmless(empty_database: DatabaseUrls) -> None:
    for _ in range(2):
        run_module("services.telemetry.migrate", environment.migrate(empty_database))


async def test_every_table_forces_row_security(projector: asyncpg.Connection) -> None:
    await projector.execute("SELECT hybridmq_ensure_day('samples', current_date)")
    open_tables = await projector.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert [row["relname"] for row in open_tables] == ["alembic_version"]


async def test_every_view_asks_in_its_callers_name(projector: asyncpg.Connection) -> None:
    views = await projector.fetch(
        "SELECT relname, reloptions FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'"
    )
    assert views
    assert all("security_invoker=true" in (view["reloptions"] or []) for view in views)


async def test_the_query_role_owns_nothing_and_bypasses_nothing(projector: asyncpg.Connection) -> None:
    role = await projector.fetchrow(
        "SELECT rolbypassrls, rolsuper, (SELECT count(*) FROM pg_class WHERE relowner = r.oid) AS owned"
        " FROM pg_roles r WHERE rolname = 'hybridmq_query'"
    )
    assert role is not None
    assert tuple(role) == (False, False, 0)


async def test_a_query_sees_its_own_organization_and_without_one_nothing(
    projector: asyncpg.Connection, query: asyncpg.Connection
) -> None:
    await projector.execute(
        "INSERT INTO organizations (name) VALUES ('org_one'), ('org_two');"
        "INSERT INTO devices (organization, name) SELECT id, 'd-' || name FROM organizations"
    )
    count = "SELECT count(*) FROM devices"
    assert await query.fetchval(count) == 0
    async with query.transaction():
        await query.execute("SELECT set_config('hybridmq.organization', 'org_one', true)")
        assert [row["name"] for row in await query.fetch("SELECT name FROM devices")] == ["d-org_one"]
        assert await query.fetchval("SELECT count(*) FROM organizations") == 1
    assert await query.fetchval(count) == 0, "the setting outlived its transaction"


@pytest.mark.parametrize("table", ["samples_old", "epochs", "checkpoints", "partition_floors"])
async def test_the_query_role_reaches_no_table_that_is_not_for_it(
    query: asyncpg.Connection, table: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query.fetch(f"SELECT * FROM {table}")


async def test_the_query_role_writes_nothing(query: asyncpg.Connection) -> None:
    for statement in ("DELETE FROM samples", "SELECT hybridmq_drop_days('samples', current_date)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await query.execute(statement)


async def test_days_are_made_ahead_and_old_ones_dropped(database: DatabaseUrls) -> None:
    today = datetime.now(UTC).date()
    old, kept = today - timedelta(days=31), today - timedelta(days=29)
    async with asyncpg.create_pool(plain_url(database.projector), min_size=0, max_size=1) as pool:
        async with pool.acquire() as connection:
            await Partitions().ensure(connection, [("messages", old), ("messages", kept)])
        assert await tidy(pool, Partitions(), {"messages": 30}, today) == {"messages": 1}
        names = {
            row[0]
            for row in await pool.fetch("SELECT relname FROM pg_class WHERE relname ~ '^messages_[0-9]+$'")
        }
    assert names == {_name(kept)} | {_name(today + timedelta(days=ahead)) for ahead in range(3)}


async def test_a_time_long_past_makes_no_partition(projector: asyncpg.Connection) -> None:
    await projector.execute("SELECT hybridmq_ensure_day('samples', '1970-01-01')")
    assert await projector.fetchval("SELECT to_regclass('samples_19700101')") is None


async def test_partitions_are_made_of_our_tables_only(projector: asyncpg.Connection) -> None:
    await projector.execute("SELECT hybridmq_ensure_day('organizations', current_date)")
    assert (
        await projector.fetchval("SELECT count(*) FROM pg_class WHERE relname ~ '^organizations_[0-9]'") == 0
    )


def _name(day: date) -> str:
    return f"messages_{day:%Y%m%d}"
