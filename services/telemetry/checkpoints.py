"""Checkpoints and epochs in the database, moved on by whoever is first."""

from __future__ import annotations

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from services.telemetry.place import Checkpoint

Session = Connection | PoolConnectionProxy


class Overtaken(Exception):
    """Another replica moved the checkpoint: what we hold is stored already, or is not ours to store."""


async def read(connection: Session, projection: str, partition: int = 0) -> Checkpoint | None:
    row = await connection.fetchrow(
        "SELECT c.epoch, e.created, c.sequence FROM checkpoints c JOIN epochs e ON e.id = c.epoch"
        " WHERE c.projection = $1 AND c.partition = $2",
        projection,
        partition,
    )
    return None if row is None else Checkpoint(*row)


async def advance(
    connection: Session, projection: str, held: Checkpoint, sequence: int, partition: int = 0
) -> None:
    """First in the transaction of the rows: two replicas then wait for each other, and one is Overtaken."""
    done = await connection.execute(
        "UPDATE checkpoints SET sequence = $5"
        " WHERE projection = $1 AND partition = $2 AND epoch = $3 AND sequence = $4",
        projection,
        partition,
        held.epoch,
        held.sequence,
        sequence,
    )
    if done != "UPDATE 1":
        raise Overtaken


async def begin_epoch(
    connection: Session,
    projection: str,
    stream: str,
    created: str,
    sequence: int,
    held: Checkpoint | None,
    partition: int = 0,
) -> Checkpoint:
    """A checkpoint in a stream that is new to us, or is no longer the one that it was."""
    async with connection.transaction():
        epoch = await connection.fetchval(
            "INSERT INTO epochs (stream, created) VALUES ($1, $2) RETURNING id", stream, created
        )
        if held is None:
            done = await connection.execute(
                "INSERT INTO checkpoints (projection, partition, epoch, sequence) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                projection,
                partition,
                epoch,
                sequence,
            )
        else:
            done = await connection.execute(
                "UPDATE checkpoints SET epoch = $3, sequence = $4"
                " WHERE projection = $1 AND partition = $2 AND epoch = $5 AND sequence = $6",
                projection,
                partition,
                epoch,
                sequence,
                held.epoch,
                held.sequence,
            )
        if not done.endswith(" 1"):
            raise Overtaken
    return Checkpoint(epoch, created, sequence)
