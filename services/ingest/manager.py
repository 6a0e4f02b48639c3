"""Follows the REGISTRY: a link is begun, changed or ended as its integration is, and no other is touched."""

from __future__ import annotations

import asyncio
import os
from functools import partial

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
from services.ingest.drops import Drops
from services.ingest.lease import Lease
from services.ingest.link import Link
from services.ingest.links import Key, Links, Wanted, evolve
from services.ingest.network import Network
from services.ingest.recall import recall
from services.ingest.routing import Routing

_log = log(part="links")
FILTERS = (subjects.registry_of_kind("integration"), subjects.registry_of_kind("organization"))
CAUGHT_UP_S = 1.0
FOLLOWED_S, FOLLOWED_TRIES = 2.0, 40


class Manager:
    """`run()` is its task; `ready` once all that stood in the REGISTRY at the start is taken in."""

    def __init__(
        self,
        bus: Bus,
        writer: LogWriter,
        activity: ActivityLog,
        drops: Drops,
        routing: Routing,
        *,
        inflight_max: int,
        network: Network,
    ) -> None:
        self._bus, self._writer, self._activity, self._drops = bus, writer, activity, drops
        self._routing = routing
        self._inflight_max, self._network = inflight_max, network
        self._owner = os.urandom(12).hex().encode()
        self._wanted: Links = {}
        self._links: dict[Key, tuple[Link, asyncio.Task[None]]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self.ready = False

    def link(self, key: Key) -> Link | None:
        """The running link, if this process has it."""
        held = self._links.get(key)
        return held[0] if held else None

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
        return link.status()

    async def run(self) -> None:
        """Follows until cancelled; then every link is closed in order."""
        pull = Pull(self._bus.client, "REGISTRY", start=1, filters=FILTERS, name="ingest")
        try:
            while True:
                try:
                    batch = await pull.next_batch(500, timeout_s=CAUGHT_UP_S)
                except Unavailable as failure:
                    _log.warning("the registry cannot be read", error=failure.detail)
                    await asyncio.sleep(CAUGHT_UP_S)
                    continue
                await self._take(batch)
        finally:
            await asyncio.gather(*(self._stop(key) for key in list(self._links)))

    async def _take(self, batch: list[Entry]) -> None:
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
            await self._reconcile()
            self.ready = True

    async def _reconcile(self) -> None:
        for key in [held for held in self._links if held not in self._wanted]:
            self._chore(self._end(key))
        for key, wanted in self._wanted.items():
            held = self._links.get(key)
            if held is None:
                self._start(wanted)
            elif held[0].wanted.revision != wanted.revision:
                if wanted.same_connection(held[0].wanted):
                    held[0].change(wanted)
                else:
                    await self._stop(key)
                    self._start(wanted)

    def _start(self, wanted: Wanted) -> None:
        organization, integration = wanted.key

        async def bridge() -> Bridge:
            window = await recall(self._bus.client, subjects.messages_of_source(organization, integration))
            return Bridge(
                organization,
                integration,
                self._writer,
                window,
                inflight_max=self._inflight_max,
                drops=self._drops,
            )

        link = Link(
            wanted,
            lease=Lease(self._bus.client, organization, integration, self._owner),
            bridge=bridge,
            read_password=partial(secrets.of_link, self._bus),
            activity=self._activity,
            network=self._network,
            routing=self._routing,
        )
        task = asyncio.create_task(link.run(), name=f"link {integration}")
        task.add_done_callback(_report)
        self._links[wanted.key] = (link, task)

    async def _stop(self, key: Key) -> Link:
        link, task = self._links.pop(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return link

    async def _end(self, key: Key) -> None:
        """For good: the broker is not left with a session that nobody comes back to."""
        link = await self._stop(key)
        await link.forget()

    def _chore(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a link ended by a defect", link=task.get_name(), error=repr(error))
