"""Open connections as the credentials service counts them: what the log missed is set right.

An event of the broker's may be lost (the service that hears them was away): without this, a device would be
online for ever.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import asyncpg

from contracts.connections import LIST_ALL_CONNECTIONS, KnownConnection, ListAllConnections
from contracts.failures import Failure
from runtime import rpc
from runtime.bus import Bus
from runtime.observe import log
from services.telemetry import connections
from services.telemetry.connections import Happening
from services.telemetry.database import AWAY
from services.telemetry.dictionaries import Dictionaries

_log = log(part="reconcile")
SETTLED = timedelta(seconds=10)  # what is younger is still on its way through the log
# Ended before this very moment, so that a connect that comes next is later.
_CLOSE = """
UPDATE connections SET ended_at = $2
    WHERE ended_at IS NULL AND connected_at < $3
        AND NOT (organization, credential, id) IN (
            SELECT o.id, said.credential, said.id
            FROM unnest($4::text[], $1::text[], $5::text[]) AS said (organization, credential, id)
            JOIN public.organizations o ON o.name = said.organization)
    RETURNING device
"""


async def reconcile(bus: Bus, pool: asyncpg.Pool, every_s: float) -> None:
    """For ever."""
    while True:
        await asyncio.sleep(every_s)
        await reconcile_once(bus, pool)


async def reconcile_once(bus: Bus, pool: asyncpg.Pool) -> None:
    """Now, where the credentials service can say; else the next time."""
    try:
        counted = await _census(bus)
        if counted is not None:
            await set_right(pool, *counted)
    except (*AWAY, Failure) as error:
        _log.warning("connections are not compared now", error=repr(error))


async def _census(bus: Bus) -> tuple[datetime, list[KnownConnection]] | None:
    """When it was begun, and what was open; None while not all servers are heard."""
    found: list[KnownConnection] = []
    page = await rpc.call(bus, LIST_ALL_CONNECTIONS, ListAllConnections())
    at = page.at
    while True:
        if not page.complete:
            return None
        found += page.items
        if not page.more:
            return at, found
        page = await rpc.call(bus, LIST_ALL_CONNECTIONS, ListAllConnections(after=page.items[-1].id))


async def set_right(pool: asyncpg.Pool, at: datetime, counted: list[KnownConnection]) -> int:
    """How many connections were wrong."""
    settled = at - SETTLED
    dictionaries = Dictionaries()
    async with pool.acquire() as connection:
        devices = {(each.organization, each.device_id) for each in counted if each.device_id is not None}
        await dictionaries.learn(connection, devices, (), {each.organization for each in counted})
        async with connection.transaction():
            closed = await connection.fetch(
                _CLOSE,
                [each.credential for each in counted],
                at,
                settled,
                [each.organization for each in counted],
                [each.id for each in counted],
            )
            settled_ones = [each for each in counted if each.connected_at < settled]
            opened = await connections.open_again(
                connection, [_opened(each, dictionaries) for each in settled_ones]
            )
            affected = {row["device"] for row in closed} | set(opened)
            await connections.weigh_devices(connection, {device for device in affected if device is not None})
            await connections.forget_ended(connection)
    if closed or opened:
        _log.warning("connections were set right", closed=len(closed), opened=len(opened))
    return len(closed) + len(opened)


def _opened(each: KnownConnection, dictionaries: Dictionaries) -> Happening:
    held = dictionaries.organizations[each.organization]
    device = None if each.device_id is None else held.devices[each.device_id]
    return Happening("device.connected", held.id, each.credential, each.id, device, each.connected_at, "", {})
