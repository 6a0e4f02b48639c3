"""What is deleted of a forgotten device, and what is counted anew of what came since.

Everything here may be done again: what is gone is gone, and what came since is counted from its rows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from services.telemetry import connections
from services.telemetry.checkpoints import Session
from services.telemetry.rollups.marks import HOUR, forget_device, hour_of, mark_dirty
from services.telemetry.stats.counting import DEVICE

ROWS = 10_000  # of one transaction: a second of work at most, in which nobody waits for it


class Target(NamedTuple):
    """A device by its numbers; all rows of messages up to this place are erased, those behind it stay."""

    organization: int
    device: int
    organization_name: str
    name: str
    epoch: int
    sequence: int


# Behind `after` ($2), as many rows as one transaction takes: an index leads from each time to the next.
_SAMPLES_UNTIL = (
    "SELECT time FROM samples WHERE device = $1 AND time > coalesce($2::timestamptz, '-infinity')"
    " ORDER BY time OFFSET $3 LIMIT 1"
)
_MESSAGES_UNTIL = (
    "SELECT received_at FROM messages WHERE device = $1 AND received_at > coalesce($2::timestamptz, '-infinity')"
    " ORDER BY received_at OFFSET $3 LIMIT 1"
)
_SAMPLES = """
DELETE FROM samples WHERE device = $1
    AND time > coalesce($2::timestamptz, '-infinity') AND time <= coalesce($3::timestamptz, 'infinity')
    AND (epoch < $4 OR (epoch = $4 AND sequence <= $5))
"""
_MESSAGES = """
DELETE FROM messages WHERE device = $1
    AND received_at > coalesce($2::timestamptz, '-infinity') AND received_at <= coalesce($3::timestamptz, 'infinity')
    AND (epoch < $4 OR (epoch = $4 AND sequence <= $5))
"""
# Of the messages that go next. Where those are no longer kept, the topic says whose a letter was.
_LETTERS = """
DELETE FROM dead_letters l USING messages t JOIN epochs e ON e.id = t.epoch
WHERE t.device = $1 AND t.failure IS NOT NULL
    AND t.received_at > coalesce($2::timestamptz, '-infinity')
    AND t.received_at <= coalesce($3::timestamptz, 'infinity')
    AND (t.epoch < $4 OR (t.epoch = $4 AND t.sequence <= $5))
    AND l.organization = $6 AND l.stream_created = e.created AND l.sequence = t.sequence
"""
_OTHER_LETTERS = (
    "DELETE FROM dead_letters l USING organizations o WHERE o.id = $1 AND l.organization = $1 AND l.received_at < $3"
    " AND l.source IN ('hosted', 'http') AND starts_with(l.topic, o.name || '/devices/' || $2 || '/')"
)
_COMMANDS = "DELETE FROM device_commands WHERE organization = $1 AND device_id = $2 AND queued_at < $3"


async def delete_rows(
    connection: Session, table: str, target: Target, after: datetime | None
) -> tuple[datetime | None, int, int]:
    """A piece of `samples` or `messages` behind this time: where it ended (None: all is done), rows and letters gone.

    Within a transaction.
    """
    end, delete = (_SAMPLES_UNTIL, _SAMPLES) if table == "samples" else (_MESSAGES_UNTIL, _MESSAGES)
    until = await connection.fetchval(end, target.device, after, ROWS)
    piece = (target.device, after, until, target.epoch, target.sequence)
    letters = 0
    if table == "messages":
        letters = _count(await connection.execute(_LETTERS, *piece, target.organization))
    return until, _count(await connection.execute(delete, *piece)), letters


async def delete_letters(connection: Session, target: Target, before: datetime) -> int:
    return _count(await connection.execute(_OTHER_LETTERS, target.organization, target.name, before))


async def delete_commands(connection: Session, target: Target, before: datetime) -> int:
    return _count(await connection.execute(_COMMANDS, target.organization, target.name, before))


async def forget_rollups(connection: Session, target: Target, since: datetime | None = None) -> None:
    """They are made anew of what is left of the readings; with `since`, of what came since: as far as is known."""
    await forget_device(connection, target.device)
    if since is None:
        hours = {row["hour"] for row in await connection.fetch(_HOURS, target.device)}
    else:
        count = max(0, (datetime.now(UTC) - since) // HOUR) + 2
        hours = {hour_of(since) + number * HOUR for number in range(count)}
    await mark_dirty(connection, [(target.device, hour, target.organization) for hour in hours])


def _count(done: str) -> int:
    return int(done.rpartition(" ")[2])


_HOURS = "SELECT DISTINCT device, date_trunc('hour', time, 'UTC') AS hour, organization FROM samples WHERE device = $1"
_METRICS = (
    "INSERT INTO device_metrics (organization, device, metric, day)"
    " SELECT $1, $2, metric, max((time AT TIME ZONE 'UTC')::date)"
    " FROM samples CROSS JOIN LATERAL unnest(metrics) AS metric WHERE device = $2 GROUP BY metric"
)
_SOURCES = (
    "INSERT INTO device_sources (organization, source, device) SELECT DISTINCT $1::int, source, $2::int FROM ("
    "SELECT source FROM messages WHERE device = $2 UNION SELECT source FROM samples WHERE device = $2) came"
    " ON CONFLICT DO NOTHING"
)
# Also by what others sent of it; by its connections it is heard of again when it connects.
_COUNTERS = """
UPDATE devices d SET messages = own.count, first_seen = least(own.first, other.first), last_seen = greatest(own.last,
    other.last)
FROM (SELECT count(*), min(received_at) AS first, max(received_at) AS last FROM messages WHERE device = $2) own,
    (SELECT min(m.received_at) AS first, max(m.received_at) AS last FROM samples s JOIN messages m
        ON m.organization = $1 AND m.epoch = s.epoch AND m.sequence = s.sequence AND m.received_at >= $3
        WHERE s.device = $2) other
WHERE d.id = $2
"""
# Of the organization's and its integrations' counters it stays a part. The hour in which it was forgotten goes, too.
_STATISTICS = (
    "DELETE FROM message_hours WHERE organization = $1 AND scope = 2 AND name = $2 AND time <= $3",
    "DELETE FROM activity_hours WHERE organization = $1 AND scope = 2 AND name = $2 AND time <= $3",
)
# Its own counts by time, with those of the span in which it was forgotten; the organization's stay sums.
_COUNTS = (
    "DELETE FROM message_minutes WHERE organization = $1 AND scope = $2 AND name = $3 AND time <= $4",
    "DELETE FROM message_hours WHERE organization = $1 AND scope = $2 AND name = $3 AND time <= $4",
)
# Of alerts: the newest values, which they remember; who holds them in memory reads them anew.
_MARKS = "DELETE FROM alert_marks WHERE organization = $1 AND device = $2"
_TOKENS = "UPDATE alert_feeds SET token = token + 1"


async def count_anew(connection: Session, target: Target, since: datetime) -> None:
    """Of what came since. In the transaction in which the projections wait for their checkpoints."""
    organization, device = target.organization, target.device
    await forget_rollups(connection, target)
    await connection.execute("DELETE FROM device_metrics WHERE device = $1", device)
    await connection.execute(_METRICS, organization, device)
    await connection.execute(
        "DELETE FROM device_sources WHERE organization = $1 AND device = $2", organization, device
    )
    await connection.execute(_SOURCES, organization, device)
    await connection.execute(_COUNTERS, organization, device, since)
    for statement in _STATISTICS:
        await connection.execute(statement, organization, target.name, since)
    # An open connection is no history: it says that the device is online, when it is heard of again.
    await connection.execute("DELETE FROM presence WHERE device = $1 AND at < $2", device, since)
    await connection.execute("DELETE FROM connections WHERE device = $1 AND ended_at < $2", device, since)
    await connections.weigh_devices(connection, {device})
    for statement in _COUNTS:
        await connection.execute(statement, organization, DEVICE, target.name, since)
    await connection.execute(_MARKS, target.organization_name, target.name)
    await connection.execute(_TOKENS)
