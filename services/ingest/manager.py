"""Follows the REGISTRY: a link is begun, changed or ended as its integration is, and no other is touched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

from contracts import subjects, upcasts
from contracts.failures import Refused, Unavailable, Unprocessable
from contracts.links import GetLinkStatus, LinkStatus
from runtime.activity import ActivityLog
from runtime.bus import Bus
from runtime.log_writer import LogWriter
from runtime.observe import log
from runtime.pull import Entry, Pull
from services.ingest import secrets
from services.ingest.bridge import Bridge
from services.ingest.claim import Claim
from services.ingest.drops import Drops
from services.ingest.flow import Flow
from services.ingest.link import Link
from services.ingest.links import Key, Links, Wanted, evolve
from services.ingest.network import Network
from services.ingest.ownership import Ownership
from services.ingest.recall import recall
from services.ingest.routing import Routing
from services.ingest.status import status_of

_log = log(part="links")
FILTERS = (subjects.registry_of_kind("integration"), subjects.registry_of_kind("organization"))
CAUGHT_UP_S = 1.0
RECALLS_AT_ONCE = 32  # a replica that dies leaves hundreds of links, whose windows are megabytes
LOOK_S = 1.0  # between two looks at whether messages flow
FOLLOWED_S, FOLLOWED_TRIES = 2.0, 40


class Manager:
    """`run()` is its task; `ready` once all that stood in the REGISTRY at the start is taken in."""

    def __init__(
        self,
        bus: Bus,
        writer: LogWriter,
        activity: ActivityLog,
        drops: Drops,
        ownership: Ownership,
        routing: Routing,
        *,
        inflight_max: int,
        network: Network,
    ) -> None:
        self._bus, self._writer, self._activity, self._drops = bus, writer, activity, drops
        self._ownership, self._routing = ownership, routing
        self._inflight_max, self._network = inflight_max, network
        self._wanted: Links = {}
        self._links: dict[Key, Link] = {}
        self._recalls = asyncio.Semaphore(RECALLS_AT_ONCE)
        self._chores: set[asyncio.Task[None]] = set()
        self.ready = False

    def link(self, key: Key) -> Link | None:
        """The running link, if this process has it."""
        return self._links.get(key) if self._ownership.is_ours(key) else None

    async def wanted(self, key: Key) -> Wanted:
        """As the registry has it, whoever owns the link. Raises Refused("not_found")."""
        for _ in range(FOLLOWED_TRIES):  # what was saved a moment ago may not have come yet
            if (found := self._wanted.get(key)) is not None:
                return found
            await asyncio.sleep(FOLLOWED_S / FOLLOWED_TRIES)
        raise Refused("not_found")

    async def status(self, request: GetLinkStatus) -> LinkStatus:
        """Raises Unavailable("link.down") where the link has just ended."""
        link = self.link(Key(request.organization, request.integration))
        if link is None:
            raise Unavailable("link.down", "the link is ending")
        return status_of(link, self._ownership.replicas.me)

    async def run(self) -> None:
        """Follows until cancelled."""
        pull = Pull(self._bus.client, "REGISTRY", start=1, filters=FILTERS, name="ingest")
        looking = asyncio.create_task(self._look())
        try:
            while True:
                try:
                    batch = await pull.next_batch(500, timeout_s=CAUGHT_UP_S)
                except Unavailable as failure:
                    _log.warning("the registry cannot be read", error=failure.detail)
                    await asyncio.sleep(CAUGHT_UP_S)
                    continue
                self._take(batch)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now, away = time.monotonic(), not self._ownership.replicas.alive
            for link in self._links.values():
                link.look(now, log_away=away)

    def _take(self, batch: list[Entry]) -> None:
        for entry in batch:
            try:
                recorded = upcasts.decode(
                    entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
                )
            except Unprocessable as failure:
                _log.error("an event cannot be read: its link stays as it was", error=failure.detail)
                continue
            if recorded is not None:
                evolve(self._wanted, recorded)
        if self.ready or not batch or batch[-1].pending == 0:
            # Only what is at the end counts: an integration created and deleted long ago is never connected.
            self._reconcile()
            self.ready = True

    def _reconcile(self) -> None:
        for key in [held for held in self._links if held not in self._wanted]:
            self._chore(self._end(self._links.pop(key)))
        for key, wanted in self._wanted.items():
            held = self._links.get(key)
            if held is None:
                self._begin(wanted)
            elif held.wanted.revision != wanted.revision:
                held.change(wanted)

    def _begin(self, wanted: Wanted) -> None:
        key = wanted.key
        link = Link(
            wanted,
            bridge=partial(self._bridge, key),
            read_secrets=partial(secrets.of_link, self._bus),
            activity=self._activity,
            network=self._network,
        )

        async def work(claim: Claim) -> None:
            async with self._routing.open(key, lambda: self._ownership.is_ours(key)):
                await link.run(claim)

        self._links[key] = link
        self._ownership.add(key, work)

    async def _bridge(self, key: Key, claim: Claim, flow: Flow) -> Bridge:
        """Read after the claim is made: nobody else adds to what it finds."""
        async with self._recalls:
            window = await recall(self._bus.client, subjects.messages_of_source(*key))
        limit = self._inflight_max
        return Bridge(*key, self._writer, window, claim, flow, inflight_max=limit, drops=self._drops)

    async def _end(self, link: Link) -> None:
        """For good: the broker is not left with a session that nobody comes back to."""
        if await self._ownership.remove(link.wanted.key):
            await link.forget()

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
