"""A read of one organization: its own transaction, under row security."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from sqlalchemy import Executable, Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from contracts.failures import Refused, Unavailable
from runtime.observe import log

_log = log(part="queries")
# Local to the transaction: a plain SET would stay on the pooled connection for the next organization.
_BECOME = text(
    "SELECT set_config(name, value, true)"
    " FROM unnest(CAST(:names AS text[]), CAST(:settings AS text[])) AS local (name, value)"
)
COMPUTING = {
    # Of expressions the planner takes every row for a group of its own, and would sort them all, on disk.
    "enable_incremental_sort": "off",
    "work_mem": "64MB",
    "hash_mem_multiplier": "4",
}
"""Settings of a statement that computes of many rows."""

_NONE: Mapping[str, str] = MappingProxyType({})
_OUT_OF_RANGE = "22003"
# SQLSTATE classes: NUL in a text, for one; and connection, resources, operator, rollback (08, 53, 57, 40).
_DATA, _AWAY = "22", ("08", "53", "57", "40")


class OutOfRange(Refused):
    """A result that its type does not hold."""


class ReadStore:
    """The query role's connections: no owner, no bypass."""

    def __init__(self, url: str, pool_size: int, timeout_s: float) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout_s / 2,
            pool_pre_ping=True,
            connect_args={
                "timeout": 5,
                "command_timeout": timeout_s + 1,  # a hung server, which cannot time out itself
                "server_settings": {
                    "application_name": "hybridmq-telemetry queries",
                    "statement_timeout": str(int(timeout_s * 1000)),
                    "default_transaction_read_only": "on",
                    # A plan for these very times knows which partitions to leave out.
                    "plan_cache_mode": "force_custom_plan",
                    # Every list walks an index in its own order and stops. Where many rows have one time, the
                    # planner takes what is behind a cursor for one row, reads all and sorts (1 s, not 10 ms).
                    "enable_sort": "off",
                    "enable_seqscan": "off",
                },
            },
        )
        SQLAlchemyInstrumentor().instrument(engine=self._engine.sync_engine, skip_dep_check=True)

    async def read(
        self, organization: str, statement: Executable, settings: Mapping[str, str] = _NONE
    ) -> Sequence[Row[Any]]:
        """The rows; Unavailable("store.unavailable") while the database is away or too slow; OutOfRange."""
        local = {"hybridmq.organization": organization, **settings}
        try:
            async with self._engine.connect() as connection:
                await connection.execute(_BECOME, {"names": list(local), "settings": list(local.values())})
                return (await connection.execute(statement)).all()
        except (PoolTimeoutError, OSError, TimeoutError) as error:
            raise _away(error) from error
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None) or ""
            if state == _OUT_OF_RANGE:
                raise OutOfRange("request.invalid", "a number is beyond what can be computed") from error
            if state.startswith(_DATA):
                raise Refused("request.invalid", "a text holds what none may hold") from error
            if state and not state.startswith(_AWAY):
                raise  # a defect, or no migration: not to be tried again
            raise _away(error) from error

    async def close(self) -> None:
        await self._engine.dispose()


def _away(error: Exception) -> Unavailable:
    _log.warning("a query failed", error=repr(error))
    return Unavailable("store.unavailable", "the database does not answer; try again")
