"""Follows one kind of the REGISTRY: each of it is begun, changed or ended as it is said, and no other is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from nats.aio.client import Client

from contracts.envelope import Recorded
from contracts.failures import Refused
from contracts.subjects import EntityKind
from runtime import registry
from runtime.observe import log
from runtime.pull import Entry
from services.ingest.claim import Claim
from services.ingest.links import Key
from services.ingest.ownership import Ownership
from services.ingest.routing import Routing

_log = log(part="keeper")
FOLLOWED_S = 2.0  # what was saved a moment ago has come by then


class Wanted(Protocol):
    """As the registry has it. `revision` is another one whenever anything of it is."""

    @property
    def key(self) -> Key: ...

    @property
    def revision(self) -> int: ...


WantedT = TypeVar("WantedT", bound=Wanted)


class Held(Protocol[WantedT]):
    """What is at work for it, here or at another replica; `run` while this process owns it."""

    wanted: WantedT

    def change(self, wanted: WantedT) -> None: ...

    async def run(self, claim: Claim) -> None: ...


HeldT = TypeVar("HeldT", bound=Held[Any])


class Keeper(Generic[WantedT, HeldT]):
    """`run()` is its task; `ready` once all that stood in the REGISTRY at the start is taken in."""

    def __init__(
        self,
        client: Client,
        ownership: Ownership,
        routing: Routing,
        *,
        kind: EntityKind,
        evolve: Callable[[dict[Key, WantedT], Recorded], object],
        make: Callable[[WantedT], HeldT],
        forget: Callable[[HeldT], Awaitable[None]] | None = None,
    ) -> None:
        """`forget` is awaited behind the end of one that was deleted while it was ours."""
        self._client, self._ownership, self._routing = client, ownership, routing
        self._kind, self._evolve, self._make, self._forget = kind, evolve, make, forget
        self._wanted: dict[Key, WantedT] = {}
        self._held: dict[Key, HeldT] = {}
        self._moved = asyncio.Event()
        self._chores: set[asyncio.Task[None]] = set()
        self.ready = False

    def ours(self, key: Key) -> HeldT | None:
        """What is at work for it, if this process owns it."""
        return self._held.get(key) if self._ownership.is_ours(key) else None

    def all(self) -> Collection[HeldT]:
        return self._held.values()

    async def wanted(self, key: Key) -> WantedT:
        """As the registry has it, whoever owns it. Raises Refused("not_found")."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_S):
                while key not in self._wanted:
                    await self._moved.wait()
        if key not in self._wanted:
            raise Refused("not_found")
        return self._wanted[key]

    async def run(self) -> None:
        """Follows until cancelled."""
        kinds: tuple[EntityKind, ...] = (self._kind, "organization")
        await registry.follow(self._client, f"ingest-{self._kind}", kinds, self._take, self._reconcile)

    def _take(self, _: Entry, recorded: Recorded) -> None:
        self._evolve(self._wanted, recorded)

    def _reconcile(self) -> None:
        for key in [held for held in self._held if held not in self._wanted]:
            chore = asyncio.create_task(self._end(key, self._held.pop(key)))
            self._chores.add(chore)
            chore.add_done_callback(self._ended)
        for key, wanted in self._wanted.items():
            held = self._held.get(key)
            if held is None:
                self._begin(wanted)
            elif held.wanted.revision != wanted.revision:
                held.change(wanted)
        self.ready = True
        self._moved.set()
        self._moved = asyncio.Event()

    def _begin(self, wanted: WantedT) -> None:
        key = wanted.key
        held = self._held[key] = self._make(wanted)

        async def work(claim: Claim) -> None:
            async with self._routing.open(key, lambda: self._ownership.is_ours(key)):
                await held.run(claim)

        self._ownership.add(key, work)

    async def _end(self, key: Key, held: HeldT) -> None:
        if await self._ownership.remove(key) and self._forget is not None:
            await self._forget(held)

    def _ended(self, chore: asyncio.Task[None]) -> None:
        self._chores.discard(chore)
        if not chore.cancelled() and (error := chore.exception()) is not None:
            _log.error("what was deleted has not ended well", kind=self._kind, exc_info=error)
