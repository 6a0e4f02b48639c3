"""The projector's connections: a small pool of asyncpg's own, for COPY in binary form."""

from __future__ import annotations

import asyncpg

WRITERS_MAX = (
    14  # messages, activity, commands, alerts, their dictionaries, roll-ups, housekeeping, one to spare
)
COMMAND_TIMEOUT_S = 10.0  # a hung server is noticed within it; a COPY of a batch takes a tenth of a second

# What a read error may be: the server is away, starting, stopping, out of room, or not set up yet. All are
# waited for, with the reason in /readyz.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection that broke in the midst of a statement
)
# A row that PostgreSQL or the binary encoding cannot take.
UNSTORABLE = (asyncpg.DataError, ValueError, OverflowError, TypeError)


def plain_url(url: str) -> str:
    """asyncpg's URL from SQLAlchemy's."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


async def _nothing(_: object) -> None:
    pass


async def connect(url: str) -> asyncpg.Pool:
    """A pool that connects at its first use: the database may be away when the service starts."""
    return await asyncpg.create_pool(
        plain_url(url),
        min_size=0,
        max_size=WRITERS_MAX,
        command_timeout=COMMAND_TIMEOUT_S,
        reset=_nothing,  # no session of ours sets anything: a round trip less a transaction
        timeout=5,
        server_settings={
            "application_name": "hybridmq-telemetry projector",
            # Rows and checkpoint are lost together when the server crashes, and are read again from the log:
            # waiting for the disk would buy nothing.
            "synchronous_commit": "off",
            "statement_timeout": "15s",
            "idle_in_transaction_session_timeout": "15s",  # a paused projector holds no row for ever
        },
    )
