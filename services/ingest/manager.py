"""The links: each integration of a tenant's own broker as the REGISTRY has it, at work where it is owned."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from contracts import subjects
from contracts.failures import Unavailable
from contracts.links import GetLinkStatus, LinkStatus
from runtime.activity import ActivityLog
from runtime.bus import Bus
from runtime.log_writer import LogWriter
from services.ingest import secrets
from services.ingest.bridge import Bridge
from services.ingest.claim import Claim
from services.ingest.drops import Drops
from services.ingest.flow import Flow
from services.ingest.keeper import Keeper
from services.ingest.link import Link
from services.ingest.links import Key, Wanted, evolve
from services.ingest.network import Network
from services.ingest.ownership import Ownership
from services.ingest.recall import recall
from services.ingest.routing import Routing
from services.ingest.status import status_of

RECALLS_AT_ONCE = 32  # a replica that dies leaves hundreds of links, whose windows are megabytes
LOOK_S = 1.0  # between two looks at whether messages flow


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
        self._replicas = ownership.replicas
        self._inflight_max, self._network = inflight_max, network
        self._recalls = asyncio.Semaphore(RECALLS_AT_ONCE)
        self._links = Keeper[Wanted, Link](
            bus.client,
            ownership,
            routing,
            kind="integration",
            evolve=evolve,
            make=self._link,
            forget=Link.forget,  # the broker is not left with a session that nobody comes back to
        )

    @property
    def ready(self) -> bool:
        return self._links.ready

    def link(self, key: Key) -> Link | None:
        """The running link, if this process has it."""
        return self._links.ours(key)

    async def wanted(self, key: Key) -> Wanted:
        """As the registry has it, whoever owns the link. Raises Refused("not_found")."""
        return await self._links.wanted(key)

    async def status(self, request: GetLinkStatus) -> LinkStatus:
        """Raises Unavailable("link.down") where the link has just ended."""
        link = self.link(Key(request.organization, request.integration))
        if link is None:
            raise Unavailable("link.down", "the link is ending")
        return status_of(link, self._replicas.me)

    async def run(self) -> None:
        """Follows until cancelled."""
        looking = asyncio.create_task(self._look())
        try:
            await self._links.run()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now, away = time.monotonic(), not self._replicas.alive
            for link in self._links.all():
                link.look(now, log_away=away)

    def _link(self, wanted: Wanted) -> Link:
        return Link(
            wanted,
            bridge=partial(self._bridge, wanted.key),
            read_secrets=partial(secrets.of_link, self._bus),
            activity=self._activity,
            network=self._network,
        )

    async def _bridge(self, key: Key, claim: Claim, flow: Flow) -> Bridge:
        """Read after the claim is made: nobody else adds to what it finds."""
        async with self._recalls:
            window = await recall(self._bus.client, subjects.messages_of_source(*key))
        limit = self._inflight_max
        return Bridge(*key, self._writer, window, claim, flow, inflight_max=limit, drops=self._drops)
