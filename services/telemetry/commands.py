"""The projection of COMMANDS: one row a command, as it stands. The same event again changes nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from contracts import subjects, upcasts
from contracts.device_commands import (
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
)
from contracts.envelope import TRACEPARENT, Event, Recorded
from contracts.failures import Unprocessable
from contracts.streams import COMMANDS
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.parting import Found
from services.telemetry.place import Checkpoint

_log = log(part="commands")
FORGET_ROWS = 5_000  # of one statement: it holds no lock for long

_QUEUED = """
INSERT INTO device_commands (organization, id, queued_at, actor, device_id, integration_id, topic, payload, qos,
    retain, response_topic, correlation_id, expires_at, state)
SELECT *, 'queued' FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::bytea[], $9::smallint[], $10::boolean[], $11::text[], $12::text[], $13::timestamptz[])
ON CONFLICT DO NOTHING
"""
_SAID = (
    "UPDATE device_commands held SET {changes} FROM unnest($1::int[], $2::text[], $3::timestamptz[]{types})"
)
_OF = " WHERE held.organization = said.organization AND held.id = said.id AND held.ended_at IS NULL"


def _update(changes: str, *more: tuple[str, str]) -> str:
    """Of commands that have not ended; `more` are columns (name, type) beside organization, id and at."""
    types = "".join(f", ${number}::{kind}[]" for number, (_, kind) in enumerate(more, 4))
    names = "".join(f", {name}" for name, _ in more)
    return _SAID.format(changes=changes, types=types) + f" AS said (organization, id, at{names})" + _OF


# A batch may hold several attempts of one command.
_SENT = """
UPDATE device_commands held
SET state = CASE held.state WHEN 'delivered' THEN held.state ELSE 'sent' END,
    sent_at = coalesce(held.sent_at, said.at), attempts = greatest(held.attempts, said.attempt)
FROM (SELECT organization, id, min(at) AS at, max(attempt) AS attempt
    FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::int[]) AS each (organization, id, at, attempt)
    GROUP BY organization, id) said
WHERE held.organization = said.organization AND held.id = said.id AND held.ended_at IS NULL
"""
_DELIVERED = _update(
    "state = 'delivered', delivered_at = coalesce(held.delivered_at, said.at), remark = said.remark",
    ("remark", "text"),
)
_ANSWERED = _update(
    "state = 'answered', ended_at = said.at, answer_topic = said.topic, answer = said.payload,"
    " answer_message = said.message",
    ("topic", "text"),
    ("payload", "bytea"),
    ("message", "bigint"),
)
_EXPIRED = _update("state = 'expired', ended_at = said.at")
_FAILED = _update(
    "state = 'failed', ended_at = said.at, failure_code = said.code, failure_detail = said.detail",
    ("code", "text"),
    ("detail", "text"),
)
# In the order in which they happen to one command: those of a batch are written kind by kind.
_STATEMENTS: tuple[tuple[type[Event], str], ...] = (
    (DeviceCommandQueued, _QUEUED),
    (DeviceCommandSent, _SENT),
    (DeviceCommandDelivered, _DELIVERED),
    (DeviceCommandAnswered, _ANSWERED),
    (DeviceCommandExpired, _EXPIRED),
    (DeviceCommandFailed, _FAILED),
)
_KNOWN = """
SELECT EXISTS (SELECT FROM device_commands held JOIN organizations o ON o.id = held.organization
    WHERE o.name = $1 AND held.id = $2 AND held.queued_at = $3)
"""
_FORGET = """
DELETE FROM device_commands WHERE (organization, id) IN (SELECT organization, id FROM device_commands
    WHERE queued_at < now() - make_interval(days => $1) ORDER BY queued_at LIMIT $2)
"""


class Read(NamedTuple):
    organization: str
    id: str
    recorded: Recorded


class Ready(NamedTuple):
    columns: list[tuple[str, list[list[Any]]]]  # statement and its arrays
    rows: int
    links: list[str]


class CommandsProjection:
    name = "commands"
    stream = COMMANDS.name
    subjects = subjects.COMMANDS_ALL

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        del place
        await self._directory.complete.wait()
        found = [
            read
            for entry in entries
            if (read := _read(entry)) is not None
            and not self._erased(read.organization, read.recorded.event, entry.time_ns)
        ]
        links = [parent for entry in entries if (parent := entry.headers.get(TRACEPARENT)) is not None]
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, (), (), {read.organization for read in found})
        columns = []
        for kind, statement in _STATEMENTS:
            rows = [self._row(read) for read in found if isinstance(read.recorded.event, kind)]
            if rows:
                columns.append((statement, [list(column) for column in zip(*rows, strict=True)]))
        return Ready(columns, len(found), links[:LINKS_MAX])

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error("an event of a command cannot be stored", sequence=entry.sequence, why=why)
        return Ready([], 0, [])  # written by ourselves: a defect, which the log names; it stays in the stream

    def _row(self, read: Read) -> tuple[Any, ...]:
        organization = self._dictionaries.organizations[read.organization].id
        recorded = read.recorded
        return (organization, read.id, recorded.time, *_values(recorded))

    async def write(self, connection: Session, ready: Ready) -> int:
        for statement, columns in ready.columns:
            await connection.execute(statement, *columns)
        return ready.rows

    def committed(self, ready: Ready) -> None:
        del ready

    def links(self, ready: Ready) -> list[str]:
        return ready.links

    async def known(self, connection: Session, found: Found) -> bool | None:
        organization, id = subjects.named_command(found.subject)
        try:
            recorded = upcasts.decode(found.headers, found.data, subject=found.subject)
        except Unprocessable:
            return None
        if recorded is None or not isinstance(recorded.event, DeviceCommandQueued):
            return None
        if self._erased(organization, recorded.event, found.time_ns):
            return None
        return bool(await connection.fetchval(_KNOWN, organization, id, recorded.time))

    def _erased(self, organization: str, event: Event, time_ns: int) -> bool:
        """Whether it is an order to a device that was forgotten since: what comes of it finds no row then."""
        device = event.device_id if isinstance(event, DeviceCommandQueued) else None
        return self._directory.erased.has(organization, device, time_ns)

    def forget(self) -> None:
        self._dictionaries.forget()


def _values(recorded: Recorded) -> tuple[Any, ...]:
    """What an event's statement takes, beside organization, id and time."""
    match recorded.event:
        case DeviceCommandQueued() as queued:
            return (
                recorded.actor,
                queued.device_id,
                queued.integration_id,
                queued.topic,
                queued.payload_bytes(),
                queued.qos,
                queued.retain,
                queued.response_topic,
                queued.correlation_id,
                queued.expires_at(recorded.time),
            )
        case DeviceCommandSent(attempt=attempt):
            return (attempt,)
        case DeviceCommandDelivered(remark=remark):
            return (remark,)
        case DeviceCommandAnswered(topic=topic, payload=payload, message=message):
            return topic, base64.b64decode(payload), message
        case DeviceCommandFailed(code=code, detail=detail):
            return code, detail
    return ()


def _read(entry: Entry) -> Read | None:
    """None for what cannot be read, or is a newer service's."""
    try:
        recorded = upcasts.decode(entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence)
    except Unprocessable as failure:
        _log.error("an event of a command is unreadable", error=str(failure))
        return None
    return None if recorded is None else Read(*subjects.named_command(entry.subject), recorded)


async def forget_old(pool: asyncpg.Pool, days_kept: int, every_s: float) -> None:
    """For ever: rows go when their time is over."""
    while True:
        try:
            while await _forget(pool, days_kept) == FORGET_ROWS:
                pass
        except AWAY as error:
            _log.warning("old commands stay for now", error=repr(error))
        await asyncio.sleep(every_s)


async def _forget(pool: asyncpg.Pool, days_kept: int) -> int:
    """How many went."""
    async with pool.acquire() as connection:
        done: str = await connection.execute(_FORGET, days_kept, FORGET_ROWS)
    return int(done.split()[1])
