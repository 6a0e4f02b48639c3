"""What is kept of rules in the database: states, marks, and transitions that are to be told (the outbox).

The token of a feed changes with every write: who holds the row's lock and finds the token of his own memory knows
that his memory is what is stored, whoever else is at work, and whatever of his own did not get stored.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from services.telemetry.alerting.board import Changes, Marks
from services.telemetry.alerting.machine import Key, State, Transition
from services.telemetry.checkpoints import Session

FeedName = Literal["messages", "activity", "presence"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = "SELECT token FROM alert_feeds WHERE name = $1 FOR UPDATE"
_MOVE = "UPDATE alert_feeds SET token = $2 WHERE name = $1"
_STATES = (
    "SELECT organization, rule, target, revision, phase, since, noticed, first, alert, alert_of, over, memory"
    " FROM alert_states WHERE feed = $1"
)
_PUT = (
    "INSERT INTO alert_states (feed, organization, rule, target, revision, phase, since, noticed, first, alert,"
    " alert_of, over, memory) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[],"
    " $6::text[], $7::timestamptz[], $8::timestamptz[], $9::jsonb[], $10::text[], $11::jsonb[],"
    " $12::timestamptz[], $13::jsonb[])"
    " ON CONFLICT (organization, rule, target) DO UPDATE SET revision = excluded.revision, phase = excluded.phase,"
    " since = excluded.since, noticed = excluded.noticed, first = excluded.first, alert = excluded.alert,"
    " alert_of = excluded.alert_of, over = excluded.over, memory = excluded.memory"
)
_FORGET = (
    "DELETE FROM alert_states s USING unnest($1::text[], $2::text[], $3::text[]) AS gone (organization, rule, target)"
    " WHERE (s.organization, s.rule, s.target) = (gone.organization, gone.rule, gone.target)"
)
_HEARD = (
    "SELECT d.name, d.last_seen FROM devices d JOIN organizations o ON o.id = d.organization"
    " WHERE o.name = $1 AND d.last_seen IS NOT NULL"
)
_MARKS = "SELECT device, marks FROM alert_marks WHERE organization = $1"
_MARK = (
    "INSERT INTO alert_marks (organization, device, marks)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])"
    " ON CONFLICT (organization, device) DO UPDATE SET marks = excluded.marks"
)
_UNMARK = (
    "DELETE FROM alert_marks m USING unnest($1::text[], $2::text[]) AS gone (organization, device)"
    " WHERE (m.organization, m.device) = (gone.organization, gone.device)"
)
_TELL = (
    "INSERT INTO alert_outbox (organization, alert, event_id, type, at, body)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[])"
)


async def lock(connection: Session, feed: FeedName) -> int:
    """The feed's token; until the transaction ends, nobody else writes of it."""
    return int(await connection.fetchval(_LOCK, feed))


async def states(connection: Session, feed: FeedName) -> list[tuple[Key, State]]:
    return [(Key(*row[:3]), read_state(tuple(row)[3:])) for row in await connection.fetch(_STATES, feed)]


async def devices(connection: Session, organization: str) -> tuple[dict[str, datetime], dict[str, Marks]]:
    """When each was last heard, and its marks."""
    heard = {row["name"]: row["last_seen"] for row in await connection.fetch(_HEARD, organization)}
    rows = await connection.fetch(_MARKS, organization)
    return heard, {row["device"]: read_marks(row["marks"]) for row in rows}


async def save(connection: Session, feed: FeedName, changes: Changes) -> int:
    """The feed's new token."""
    kept = [(key, state) for key, state in changes.states.items() if state is not None]
    if kept:
        columns = zip(*((*key, *state_row(state)) for key, state in kept), strict=True)
        await connection.execute(_PUT, feed, *columns)
    gone = [key for key, state in changes.states.items() if state is None]
    if gone:
        await connection.execute(_FORGET, *zip(*gone, strict=True))
    marked = sorted(each for each in changes.marks.items() if each[1])
    if marked:
        await connection.execute(_MARK, *_mark_columns(marked))
    unmarked = [device for device, marks in changes.marks.items() if not marks]
    if unmarked:
        await connection.execute(_UNMARK, *zip(*unmarked, strict=True))
    if changes.transitions:
        await connection.execute(_TELL, *zip(*map(_told, changes.transitions), strict=True))
    token = secrets.randbits(62)
    await connection.execute(_MOVE, feed, token)
    return token


def state_row(state: State) -> tuple[Any, ...]:
    """As the columns have it, from `revision` on."""
    return tuple(json.dumps(value) if isinstance(value, dict) else value for value in state)


def read_state(row: Sequence[Any]) -> State:
    revision, phase, since, noticed, first, alert, of, over, memory = row
    return State(revision, phase, since, noticed, _read(first), alert, _read(of), over, _read(memory))


def marks_text(marks: Marks) -> str:
    return json.dumps(
        {
            metric: (_micros(time), value, _micros(received))
            for metric, (time, value, received) in marks.items()
        }
    )


def read_marks(text: str) -> Marks:
    return {
        metric: (_moment(time), value, _moment(received))
        for metric, (time, value, received) in json.loads(text).items()
    }


def _mark_columns(marks: Sequence[tuple[tuple[str, str], Marks]]) -> Iterable[list[str]]:
    rows = [(*device, marks_text(held)) for device, held in marks]
    return [list(column) for column in zip(*rows, strict=True)]


def _told(one: Transition) -> tuple[Any, ...]:
    return (
        one.organization,
        one.alert,
        one.id,
        one.event.versioned_type(),
        one.at,
        one.event.model_dump_json(),
    )


def _read(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
