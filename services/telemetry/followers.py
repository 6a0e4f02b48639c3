"""What else is made of a projection's batches: in the same transaction, of what was decoded already.

A follower is given each batch as the projection has prepared it, in the order of the log. It may ask the database
before the transaction (`prepare`), and stores what it makes in it (`write`): so what it keeps is exactly as far as
the rows and the checkpoint are. The next batch is prepared while this one commits. Whoever keeps a state in memory
therefore goes on from what it prepared last, and throws it away in `forget`, which comes whenever a batch did not
get stored.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import asyncpg

from services.telemetry.checkpoints import Session
from services.telemetry.place import Checkpoint

ReadyT_contra = TypeVar("ReadyT_contra", contravariant=True)


class Follower(Protocol[ReadyT_contra]):
    async def prepare(self, pool: asyncpg.Pool, ready: ReadyT_contra, place: Checkpoint) -> Any:
        """What `write` is to store. `place` is where the batch begins; its numbers (ids) are known by now."""
        ...

    async def write(self, connection: Session, prepared: Any) -> None:
        """In the checkpoint's transaction; a few statements a batch, never one a row."""
        ...

    def committed(self, prepared: Any) -> None:
        """It is stored for good."""
        ...

    def forget(self) -> None:
        """Whatever is remembered of the database may not hold any more."""
        ...


class Followers(Generic[ReadyT_contra]):
    """All of a projection's, as one; what each has prepared stands in their order."""

    def __init__(self, *followers: Follower[ReadyT_contra]) -> None:
        self._all = followers

    async def prepare(self, pool: asyncpg.Pool, ready: ReadyT_contra, place: Checkpoint) -> list[Any]:
        return [await follower.prepare(pool, ready, place) for follower in self._all]

    async def write(self, connection: Session, prepared: list[Any]) -> None:
        for follower, own in zip(self._all, prepared, strict=True):
            await follower.write(connection, own)

    def committed(self, prepared: list[Any]) -> None:
        for follower, own in zip(self._all, prepared, strict=True):
            follower.committed(own)

    def forget(self) -> None:
        for follower in self._all:
            follower.forget()
