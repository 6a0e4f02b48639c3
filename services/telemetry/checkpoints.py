"""Checkpoints and epochs in the database, moved on by whoever is first.

An epoch is a run of a stream's sequences that we read as one: a stream that is made anew, or goes back to a
backup, begins another. `first` is the first sequence of it, `shared_until` the last one that the stream still
has as it was (NULL: all of them, it is the newest epoch).
"""

from __future__ import annotations

from typing import NamedTuple

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from services.telemetry.place import Change, Checkpoint

Session = Connection | PoolConnectionProxy


class Segment(NamedTuple):
    """A run of sequences that the stream holds, and the epoch that their rows bear."""

    epoch: int
    first: int
    last: int | None  # None: the newest epoch, which goes on
    created: str  # of the stream that the epoch was read from


class Overtaken(Exception):
    """Another replica moved the checkpoint: what we hold is stored already, or is not ours to store."""


class Outdated(Exception):
    """Nobody moved the checkpoint, but rows that we may remember were changed."""


_READ = (
    "SELECT c.epoch, e.created, c.sequence, c.time_ns, c.turn FROM checkpoints c JOIN public.epochs e ON e.id = c.epoch"
    " WHERE c.projection = $1 AND c.partition = $2"
)
_ADVANCE = (
    "UPDATE checkpoints SET sequence = $5, time_ns = $6"
    " WHERE projection = $1 AND partition = $2 AND epoch = $3 AND sequence = $4 AND turn = $7"
)
_PART = "UPDATE public.epochs SET shared_until = least(coalesce(shared_until, $2), $2) WHERE stream = $1"
_BEGIN = "INSERT INTO public.epochs (stream, created, first, change) VALUES ($1, $2, $3, $4) RETURNING id"
_FIRST = (
    "INSERT INTO checkpoints (projection, partition, epoch, sequence, time_ns) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT DO NOTHING"
)
_GO_OVER = (
    "UPDATE checkpoints SET epoch = $3, sequence = $4, time_ns = $5"
    " WHERE projection = $1 AND partition = $2 AND epoch = $6 AND sequence = $7"
)


async def read(connection: Session, projection: str, partition: int = 0) -> Checkpoint | None:
    row = await connection.fetchrow(_READ, projection, partition)
    return None if row is None else Checkpoint(*row)


async def advance(
    connection: Session,
    projection: str,
    held: Checkpoint,
    sequence: int,
    time_ns: int | None,
    partition: int = 0,
) -> None:
    """First in the transaction of the rows: two replicas then wait for each other, and one is Overtaken.

    `time_ns` is when the stream stored the message of this sequence.
    """
    done = await connection.execute(
        _ADVANCE, projection, partition, held.epoch, held.sequence, sequence, time_ns, held.turn
    )
    if done != "UPDATE 1":
        now = await read(connection, projection, partition)
        moved = now is None or (now.epoch, now.sequence) != (held.epoch, held.sequence)
        raise Overtaken if moved else Outdated


async def turn(connection: Session, projection: str) -> None:
    """Within the transaction that changed rows behind the projector's back: it forgets what it remembers."""
    await connection.execute("UPDATE checkpoints SET turn = turn + 1 WHERE projection = $1", projection)


async def begin_epoch(
    connection: Session,
    projection: str,
    stream: str,
    created: str,
    sequence: int,
    held: Checkpoint | None,
    change: Change = "none",
    time_ns: int | None = None,
    partition: int = 0,
) -> Checkpoint:
    """A checkpoint in a stream that is new to us, or is no longer the one that it was behind `sequence`."""
    async with connection.transaction():
        await connection.execute(_PART, stream, sequence)
        epoch = await connection.fetchval(_BEGIN, stream, created, sequence + 1, change)
        if held is None:
            done = await connection.execute(_FIRST, projection, partition, epoch, sequence, time_ns)
        else:
            done = await connection.execute(
                _GO_OVER, projection, partition, epoch, sequence, time_ns, held.epoch, held.sequence
            )
        if not done.endswith(" 1"):
            raise Overtaken
    return Checkpoint(epoch, created, sequence, time_ns, 0 if held is None else held.turn)


async def lineage(connection: Session, stream: str, first: int) -> list[Segment]:
    """What the stream holds from `first` on, oldest first; rows of no segment are in the database only."""
    rows = await connection.fetch(
        "SELECT id, first, shared_until, created FROM public.epochs WHERE stream = $1 ORDER BY id", stream
    )
    segments = [
        Segment(row["id"], max(row["first"], first), row["shared_until"], row["created"]) for row in rows
    ]
    return [segment for segment in segments if segment.last is None or segment.first <= segment.last]
