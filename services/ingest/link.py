"""One external integration's link while this process owns it: connect, subscribe, carry on, try again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from contracts.activity import ActivityRecorded, Status
from contracts.failures import Failure, Refused, Unavailable
from runtime.activity import ActivityLog
from runtime.observe import log
from services.ingest import backoff, metrics
from services.ingest.bridge import Bridge
from services.ingest.claim import Claim
from services.ingest.condition import (
    SILENT,
    Anew,
    Condition,
    Connected,
    Ended,
    Happening,
    Paused,
    Resumed,
    Right,
    TurnedAway,
    Wrong,
    evolve,
)
from services.ingest.connecting import open_session
from services.ingest.flow import Flow
from services.ingest.frames import Incoming
from services.ingest.links import Wanted
from services.ingest.network import Network
from services.ingest.replies import Replies
from services.ingest.session import Session
from services.ingest.subscribed import Subscribed

_log = log(part="link")
SETTLE_S = 5.0
AGAIN_S = 1.0  # between two looks at a log that is away
STEADY_S = 30.0  # a connection that held so long was none of a row of failures
AWAY = "log.unavailable"
UNVERIFIED = "connected, but anybody could pose as this broker: `tls.verify` is off"
NOT_GRANTED = "subscription.refused"
DROPPING = "broker.dropping"


class Link:
    """`run()` while this process owns it; `change()` takes an edit at any time."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        bridge: Callable[[Claim, Flow], Awaitable[Bridge]],
        read_secrets: Callable[[Wanted], Awaitable[dict[str, str]]],
        activity: ActivityLog,
        network: Network,
        attempts_counted: int = 10,
    ) -> None:
        """`attempts_counted` bounds how long the pauses between tries become."""
        self.wanted = wanted
        self.session: Session | None = None  # while it is up
        self.bridge: Bridge | None = None  # while it is owned
        self.flow = Flow()
        self.condition = Condition(datetime.now(UTC))
        self.connected_since: datetime | None = None
        self.next_try_at: datetime | None = None
        self.subscribed = Subscribed()
        self._replies = Replies(lambda: self.session)
        self._make_bridge = bridge
        self._read_secrets = read_secrets
        self._activity = activity
        self._network = network
        self._attempts_counted = attempts_counted
        self._secrets: dict[str, str] = {}  # of the last connection
        self._changed = asyncio.Event()
        self._watch()

    def change(self, wanted: Wanted) -> None:
        """Other topics go over the same connection; anything else is tried at once."""
        self.wanted = wanted
        self._watch()
        self._changed.set()

    async def run(self, claim: Claim) -> None:
        """Until the claim is lost, or until cancelled: then nothing that was taken is left unstored without
        its broker knowing."""
        self.condition = Condition(datetime.now(UTC))
        metrics.link_states[self.condition.state] += 1
        try:
            self.bridge = await self._bridge(claim)
            self._watch()
            await self._carry_on(claim, self.bridge)
        finally:
            if self.bridge is not None:
                self.bridge.abandon()
                with suppress(TimeoutError):  # what is late is refused by the log: see `claim`
                    await asyncio.wait_for(self.bridge.settle(), SETTLE_S)
            self.bridge = None
            metrics.link_states[self.condition.state] -= 1

    def look(self, now: float, *, log_away: bool) -> None:
        """Every second or so: whether messages flow, by the clock of `Watchdog`."""
        watchdog = self.flow.watchdog
        if self.session is None:
            return
        if log_away:  # then nothing is read, which is no silence of the link's
            self._happen(
                Wrong(AWAY, "the event log is away: nothing is read from the broker until it is back")
            )
            watchdog.connected(now)
        else:
            self._happen(Right(AWAY))
        if self.subscribed.drops.calm(now):
            self._happen(Right(DROPPING))
        was = watchdog.silent
        if watchdog.look(now):
            if not was:
                expected = watchdog.expected_s or 0.0
                detail = f"no message for {watchdog.silence_s or 0.0:.0f} s; one is expected every {expected:.3g} s"
                self._happen(Wrong(SILENT, detail))
        else:
            self._happen(Right(SILENT))

    async def forget(self) -> None:
        """Ends the session that the broker of a deleted link still holds, as well as it can be done."""
        wanted = self.wanted
        try:
            # The secrets are erased with the integration: these are the last connection's.
            async with open_session(
                self._network,
                wanted.settings,
                self._secrets,
                wanted.client_id,
                lambda _, __: None,
                clean=True,
            ):
                pass
        except Failure as failure:  # the link is gone all the same; its broker lets the session expire
            _log.warning("a deleted link's session stays at its broker", reason=str(failure))

    async def _carry_on(self, claim: Claim, bridge: Bridge) -> None:
        attempt, claimed = 0, True  # a moment ago
        while claimed or await self._is_ours(claim):
            claimed = False
            self._changed.clear()
            wanted = self.wanted
            if wanted.paused:
                self._happen(Paused())
                await self._changed.wait()
                if not self.wanted.paused:
                    self._happen(Resumed())
                attempt = 0
                continue
            begun = time.monotonic()
            refused = await self._try(bridge)
            if self._changed.is_set() or time.monotonic() - begun > STEADY_S:
                attempt = 0
            if self._changed.is_set():
                continue
            await self._wait(backoff.delay(attempt, refused=refused, random=random.random))
            if self._changed.is_set():
                self._happen(Anew())
            attempt = 0 if self._changed.is_set() else min(attempt + 1, self._attempts_counted)

    async def _wait(self, delay_s: float) -> None:
        """Before the next try; an edit ends it."""
        self.next_try_at = datetime.now(UTC) + timedelta(seconds=delay_s)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay_s)
        finally:
            self.next_try_at = None

    async def _is_ours(self, claim: Claim) -> bool:
        """Before each connection: two that take the session from each other would go on for ever."""
        while True:
            try:
                return await claim.holds()
            except Unavailable as failure:
                self._happen(Ended(failure.code, failure.detail))
                await asyncio.sleep(AGAIN_S)

    async def _bridge(self, claim: Claim) -> Bridge:
        while True:
            try:
                return await self._make_bridge(claim, self.flow)
            except Unavailable as failure:
                self._happen(Ended(failure.code, failure.detail))
                await asyncio.sleep(AGAIN_S)

    async def _try(self, bridge: Bridge) -> bool:
        """One connection, from its beginning to its end; whether it was refused."""
        try:
            await self._connect(bridge)
        except Refused as failure:
            self.flow.tally.failed(failure.code, failure.detail, datetime.now(UTC))
            self._happen(TurnedAway(failure.code, failure.detail))
            return True
        except Failure as failure:
            self.flow.tally.failed(failure.code, failure.detail, datetime.now(UTC))
            self._happen(Ended(failure.code, failure.detail))
        return False

    async def _connect(self, bridge: Bridge) -> None:
        wanted = self.wanted
        self._secrets = await self._read_secrets(wanted)
        async with open_session(
            self._network,
            wanted.settings,
            self._secrets,
            wanted.client_id,
            partial(self._take, bridge),
            clean=False,
        ) as session:
            await self.subscribed.bring(session, self.wanted)
            self.session, self.connected_since = session, datetime.now(UTC)
            self.flow.tally.connects += 1
            self.flow.watchdog.connected(time.monotonic())
            self._happen(Connected())
            self._say_unverified()
            self._say_refused_filters()
            try:
                reason = await self._until_ended(session, wanted)
                if reason is None:
                    await self._leave_nothing_open(session, bridge)
            finally:
                self.session = self.connected_since = None
        if reason is not None:
            raise Unavailable("link.down", reason)
        self._happen(Anew())

    async def _until_ended(self, session: Session, connected: Wanted) -> str | None:
        """The reason; None where an edit or a token's end asks for another connection, or for none."""
        while True:
            changed = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait((changed, session.ended, session.due), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if session.ended.done():
                return session.ended.result()
            if session.due.done():
                self._changed.set()  # at once, not after a pause
                return None
            if self.wanted.paused or not self.wanted.same_connection(connected):
                return None
            self._changed.clear()
            before = self.subscribed.granted
            await self.subscribed.bring(session, self.wanted)
            self._say_subscribed(before)
            self._say_refused_filters()

    def _take(self, bridge: Bridge, session: Session, chunk: list[Incoming]) -> None:
        chunk, dropped = self.subscribed.sift(chunk)
        if dropped:
            detail = f"the broker dropped {dropped} messages, of this or another of its clients"
            self.flow.tally.failed(DROPPING, detail, datetime.now(UTC))
            self._happen(Wrong(DROPPING, detail))
        if chunk:
            bridge.take(session, chunk)

    async def _leave_nothing_open(self, session: Session, bridge: Bridge) -> None:
        """What was taken is acknowledged before we leave: then the broker has nothing to send again."""
        session.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(bridge.settle(), SETTLE_S)

    def _say_unverified(self) -> None:
        settings = self.wanted.settings
        if settings.tls is not None and not settings.tls.verify:
            _log.warning("the broker's certificate is not verified", integration=self.wanted.key.integration)
            self._note("link.unverified", "ok", UNVERIFIED, None, {"host": settings.host})

    def _say_subscribed(self, before: dict[str, int]) -> None:
        if (news := self.subscribed.news(before)) is not None:
            self._note("link.subscribed", "ok", *news)

    def _say_refused_filters(self) -> None:
        if not self.subscribed.refused:
            self._happen(Right(NOT_GRANTED))
            return
        for filter, why in self.subscribed.refused.items():
            details = {"filter": filter}
            self._note("link.subscription-refused", "refused", f"{filter}: {why}", NOT_GRANTED, details)
        refused, of = len(self.subscribed.refused), len(self.wanted.topics)
        self._happen(Wrong(NOT_GRANTED, f"the broker refuses {refused} of {of} filters"))

    def _watch(self) -> None:
        self.flow.tally.watch(topic.filter for topic in self.wanted.topics)
        self.flow.watchdog.given_s = self.wanted.expected_interval_s
        if self.bridge is not None:
            self.bridge.after_stored = self._replies.hook(self.wanted.decoder)

    def _happen(self, happening: Happening) -> None:
        before = self.condition
        self.condition, said = evolve(before, happening, datetime.now(UTC))
        if self.condition.state != before.state:
            metrics.link_states[before.state] -= 1
            metrics.link_states[self.condition.state] += 1
        settings = self.wanted.settings
        for kind, status, detail, code in said:
            self._note(kind, status, detail, code, {"host": settings.host, "port": settings.port})

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
