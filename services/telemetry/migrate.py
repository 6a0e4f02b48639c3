"""`python -m services.telemetry.migrate`: brings the database to the newest schema; again is harmless.

Runs once before the service, as the tables' owner. The roles hybridmq_projector and hybridmq_query exist
already: whoever sets up the server makes them, with their passwords.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from runtime import observe
from runtime.observe import log
from runtime.settings import FileSettings, load

_log = log(part="migrate")
_LOCK = 0x68796D71  # any number, the same for everybody who migrates


class MigrateSettings(FileSettings):
    database_owner_url: SecretStr
    """SQLAlchemy URL of the role that owns the tables; nothing else uses it."""


async def migrate(url: str) -> None:
    """Up to the newest revision; two at a time wait for each other. What a newer version made stays as it is."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await connection.commit()  # the lock is the session's, and ends with it
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    held = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    if held is not None and held not in known:  # gone back to this version: it runs on the newer schema
        _log.warning("the schema is of a newer version, and stays", revision=held)
        return
    command.upgrade(config, "head")


def main() -> None:
    settings = load(MigrateSettings)
    observe.set_up("migrate")
    asyncio.run(migrate(settings.database_owner_url.get_secret_value()))
    _log.info("migrated")


if __name__ == "__main__":
    main()
