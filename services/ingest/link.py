"""One external integration's life: own it, connect, subscribe, carry on, try again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

from contracts.activity import ActivityRecorded, Status
from contracts.failures import Failure, Refused, Unavailable
from contracts.links import LinkStatus
from runtime.activity import ActivityLog
from runtime.observe import log
from services.ingest import backoff, metrics
from services.ingest.bridge import Bridge
from services.ingest.lease import Lease
from services.ingest.links import Wanted
from services.ingest.network import Network
from services.ingest.routing import Routing
from services.ingest.session import Identity, Session

_log = log(part="link")
State = Literal["connecting", "up", "refused", "down"]
SETTLE_S = 5.0
AGAIN_S = 1.0  # between two times of owning a link
STEADY_S = 30.0  # a connection that held so long was none of a row of failures

_KINDS: dict[State, tuple[str, Status]] = {
    "up": ("link.up", "ok"),
    "down": ("link.down", "failed"),
    "refused": ("link.refused", "refused"),
}


class Link:
    """`run()` is its task; `change()` takes new topics while it is connected."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        lease: Lease,
        bridge: Callable[[], Awaitable[Bridge]],
        read_password: Callable[[Wanted], Awaitable[str | None]],
        activity: ActivityLog,
        network: Network,
        routing: Routing | None = None,
        attempts_counted: int = 10,
    ) -> None:
        """`attempts_counted` bounds how long the pauses between tries become."""
        self.wanted = wanted
        self.session: Session | None = None  # while it is up
        self._lease = lease
        self._routing = routing  # None: nobody calls it
        self._make_bridge = bridge
        self._bridge_before: Bridge | None = None
        self._read_password = read_password
        self._activity = activity
        self._network = network
        self._attempts_counted = attempts_counted
        self._password: str | None = None
        self._state: State = "connecting"
        self._said: tuple[State, str] = ("connecting", "")
        self._condition: tuple[State, str, str] = ("connecting", "", "")
        self._since = datetime.now(UTC)
        self._subscribed: frozenset[Any] | None = (
            None  # by this process, in the session that the broker holds
        )
        self._change = asyncio.Event()
        metrics.link_states["connecting"] += 1

    def change(self, wanted: Wanted) -> None:
        """New topics, over the same connection."""
        self.wanted = wanted
        self._change.set()

    async def run(self) -> None:
        """Until cancelled: then nothing that was taken is left unstored without its broker knowing."""
        try:
            while True:
                await self._lease.acquire()
                if self._routing is None:
                    await self._while_owned()
                else:
                    async with self._routing.open(self.wanted.key, lambda: self._lease.held):
                        await self._while_owned()
                await asyncio.sleep(AGAIN_S)
        finally:
            metrics.link_states[self._state] -= 1

    async def _while_owned(self) -> None:
        owned = asyncio.create_task(self._lease.keep())
        work = asyncio.create_task(self._own())
        try:
            await asyncio.wait((owned, work), return_when=asyncio.FIRST_COMPLETED)
            self._say("down", "", owned.result() if owned.done() else _defect(work))
        finally:
            for task in (work, owned):
                task.cancel()
            await asyncio.gather(work, owned, return_exceptions=True)
            if self._bridge_before is not None:  # the next owner reads the log
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._bridge_before.settle(), SETTLE_S)
            await self._lease.release()

    def status(self) -> LinkStatus:
        state, code, detail = self._condition
        return LinkStatus(
            integration_id=self.wanted.key.integration,
            state="connecting" if state == "down" else state,
            reason=code or None,
            detail=detail,
            since=self._since,
            owner=self._lease.owner.decode(),
        )

    async def forget(self) -> None:
        """Ends the session that the broker of a deleted link still holds, as well as it can be done."""
        wanted = self.wanted
        try:
            connection = await self._network.reach(wanted.settings.host, wanted.settings.port)
            # The secret is erased with the integration: the password is the one of the last connection.
            identity = Identity(wanted.client_id, self._password, clean=True)
            async with Session(connection, wanted.settings, identity, lambda _, __: None):
                pass
        except Failure as failure:  # the link is gone all the same; its broker lets the session expire
            _log.warning("a deleted link's session stays at its broker", reason=str(failure))

    async def _own(self) -> None:
        bridge = await self._bridge()
        attempt = 0
        try:
            while True:
                begun = time.monotonic()
                refused = False
                try:
                    await self._connect(bridge)
                except Refused as failure:
                    refused = True
                    self._say("refused", failure.code, failure.detail)
                except Failure as failure:
                    self._say("down", failure.code, failure.detail)
                if time.monotonic() - begun > STEADY_S:
                    attempt = 0
                await asyncio.sleep(backoff.delay(attempt, refused=refused, random=random.random))
                attempt = min(attempt + 1, self._attempts_counted)
        finally:
            bridge.abandon()

    async def _bridge(self) -> Bridge:
        if self._bridge_before is not None:
            await self._bridge_before.settle()
        while True:
            try:
                bridge = await self._make_bridge()
            except Unavailable as failure:
                _log.warning(
                    "window not read yet", integration=self.wanted.key.integration, error=failure.detail
                )
                await asyncio.sleep(1.0)
            else:
                self._bridge_before = bridge
                return bridge

    async def _connect(self, bridge: Bridge) -> None:
        """One connection, from its beginning to its end."""
        wanted = self.wanted
        self._password = await self._read_password(wanted)
        connection = await self._network.reach(wanted.settings.host, wanted.settings.port)
        identity = Identity(wanted.client_id, self._password, clean=False)
        async with Session(connection, wanted.settings, identity, bridge.take) as session:
            await self._subscribe(session)
            self.session = session
            self._say("up", "", "connected")
            try:
                reason = await self._until_ended(session)
            finally:
                self.session = None
        raise Unavailable("link.down", reason)

    async def _until_ended(self, session: Session) -> str:
        while True:
            changed = asyncio.create_task(self._change.wait())
            try:
                await asyncio.wait((changed, session.ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if session.ended.done():
                return session.ended.result()
            self._change.clear()
            await self._subscribe(session)

    async def _subscribe(self, session: Session) -> None:
        """Brings the session's subscriptions to what is wanted.

        At every connection anew: a broker that crashed may have kept the session and lost a subscription.
        """
        wanted = self.wanted
        now = frozenset(wanted.topics)
        failures = await session.subscribe(wanted.topics)
        before = (
            {topic.filter for topic in self._subscribed} if self._subscribed is not None else wanted.formerly
        )
        await session.unsubscribe(sorted(before - {topic.filter for topic in now}))
        self._subscribed = now
        for topic, why in zip(wanted.topics, failures, strict=True):
            if why is not None:
                self._note(
                    "link.subscription-refused",
                    "refused",
                    f"{topic.filter}: {why}",
                    "broker.refused",
                    {"filter": topic.filter},
                )

    def _say(self, state: State, code: str, reason: str) -> None:
        """Once per change: a broker that is away for a day is one entry."""
        metrics.link_states[self._state] -= 1
        metrics.link_states[state] += 1
        self._state = state
        if self._said == (state, code):
            return
        self._said = (state, code)
        self._condition = (state, code, reason)
        self._since = datetime.now(UTC)
        kind, status = _KINDS[state]
        settings = self.wanted.settings
        self._note(kind, status, reason, code or None, {"host": settings.host, "port": settings.port})

    def _note(
        self, kind: str, status: Status, summary: str, code: str | None, details: dict[str, Any]
    ) -> None:
        organization, integration = self.wanted.key
        event = ActivityRecorded(
            kind=kind,
            status=status,
            summary=summary,
            subject=f"integration:{integration}",
            reason=code,
            details=details,
        )
        self._activity.note(organization, event, "ingest")


def _defect(work: asyncio.Task[None]) -> str:
    """What ended a link's work that never ends by itself; it begins again."""
    error = work.exception()
    _log.error("a link's work ended by a defect", error=repr(error), exc_info=error)
    return "something went wrong on our side; it is tried again"
