"""Shares links out among the replicas: takes what is ours or free, gives what another is to have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from nats.aio.client import Client

from contracts.failures import Unavailable
from runtime.observe import log
from services.ingest import shares
from services.ingest.claim import Claim, last_claims
from services.ingest.links import Key
from services.ingest.replicas import Replicas
from services.ingest.shares import Seen

_log = log(part="ownership")
TURN_S = 0.5
LOOK_S = 5.0  # claims are read at least so often: whatever went wrong, no link stays without an owner
CLAIMS_AT_ONCE = 32

Work = Callable[[Claim], Awaitable[None]]


@dataclass(slots=True)
class _Held:
    """A link that is to be there, and our work on it while we own it."""

    work: Work
    claim: Claim | None = None
    task: asyncio.Task[None] | None = None
    free_since: float | None = None


@dataclass(slots=True)
class Ownership:
    """`run()` is its task. `add` and `remove` say which links there are to be."""

    client: Client
    replicas: Replicas
    _links: dict[Key, _Held] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _looked: float = float("-inf")
    _seen: frozenset[str] = frozenset()

    def add(self, key: Key, work: Work) -> None:
        """`work` runs while this process owns the link. It returns where the claim is lost, and is cancelled
        where another is to have it; what it took must have settled when it ends."""
        self._links[key] = _Held(work)
        self._look_soon()

    async def remove(self, key: Key) -> bool:
        """The link is to be nowhere any more; whether it was ours."""
        held = self._links.pop(key, None)
        return held is not None and await self._give(held)

    def is_ours(self, key: Key) -> bool:
        """Whether this process may speak for the link."""
        held = self._links.get(key)
        return held is not None and held.task is not None and self.replicas.alive

    async def run(self) -> None:
        """Until cancelled; then every link is given up in order."""
        try:
            while True:
                try:
                    await self._turn()
                except Unavailable as failure:
                    _log.warning("links are not shared out", reason=failure.detail)
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), TURN_S)
        finally:
            await asyncio.gather(*(self._give(held) for held in self._links.values()))

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._collect()
        replicas = frozenset(self.replicas.others)
        if not self.replicas.alive or (now - self._looked < LOOK_S and replicas == self._seen):
            return
        claims = await last_claims(self.client, self._links)
        mine = {key for key, held in self._links.items() if held.task is not None}
        owners = {key: claims.get(key, (None, 0))[0] for key in self._links}
        for key, held in self._links.items():
            lost = (
                key in mine and held.claim is not None and claims.get(key, ("", 0))[1] > held.claim.sequence
            )
            if lost and held.task is not None:
                held.task.cancel()  # another has it; the log refuses what we might still write
            free = owners[key] is None or owners[key] not in {*replicas, self.replicas.me}
            held.free_since = (held.free_since or now) if free else None
        turn = shares.decide(
            Seen(
                me=self.replicas.me,
                now=now,
                replicas=self.replicas.others,
                links=list(self._links),
                mine=mine,
                owners=owners,
                free_since={key: held.free_since or now for key, held in self._links.items()},
                trusted=self.replicas.trusted,
            )
        )
        taking = [key for key in turn.take if key in self._links]
        for some in _slices(taking, CLAIMS_AT_ONCE):
            await asyncio.gather(*(self._take(key, claims.get(key, (None, 0))) for key in some))
        await asyncio.gather(*(self._give(self._links[key]) for key in turn.give if key in self._links))
        if self._at_rest(now):
            self._looked, self._seen = now, replicas

    def _at_rest(self, now: float) -> bool:
        """Whether each link is where it belongs; until then every turn looks."""
        replicas = self.replicas.others
        everybody = {*replicas, self.replicas.me}
        if any(now - since < shares.SETTLED_S for since in replicas.values()):
            return False
        return all(
            (held.task is not None) == (shares.first_choice(key, everybody) == self.replicas.me)
            and (held.task is not None or held.free_since is None)
            for key, held in self._links.items()
        )

    async def _take(self, key: Key, last: tuple[str | None, int]) -> None:
        owner, sequence = last
        claim = Claim(self.client, key, self.replicas.me)
        if owner == self.replicas.me:
            claim.sequence = sequence  # made before; its acknowledgement was lost
        elif not await claim.make(sequence):
            return
        held = self._links.get(key)
        if held is None or held.task is not None:
            await claim.give_up()
            return
        held.claim, held.free_since = claim, None
        held.task = asyncio.create_task(_run(held.work, claim), name=f"link {key.integration}")

    async def _give(self, held: _Held) -> bool:
        task, claim = held.task, held.claim
        if task is None or claim is None:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        held.task = held.claim = None
        await claim.give_up()
        return True

    def _collect(self) -> None:
        """Work that has ended by itself has lost its claim, or has a defect: it is shared out anew."""
        for held in self._links.values():
            if held.task is None or not held.task.done():
                continue
            if not held.task.cancelled() and (error := held.task.exception()) is not None:
                _log.error("a link's work ended by a defect", error=repr(error), exc_info=error)
            held.task = held.claim = None
            self._look_soon()

    def _look_soon(self) -> None:
        self._looked = float("-inf")
        self._wake.set()


async def _run(work: Work, claim: Claim) -> None:
    await work(claim)


def _slices(keys: list[Key], size: int) -> Iterable[list[Key]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
