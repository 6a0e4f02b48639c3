"""Ends live connections of devices that may no longer be connected, on every server, within a second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import nats.errors

from contracts.credentials import CredentialRevoked
from contracts.envelope import Recorded
from contracts.failures import Unavailable
from contracts.organizations import OrganizationDeleted
from contracts.subjects import Entity
from runtime.jetstream import parse_time
from runtime.observe import log
from services.credentials.connz import Connz
from services.credentials.directory import NEVER, Directory
from services.credentials.ids import CREDENTIAL
from services.credentials.states.credential import Credential
from services.credentials.views import standing

_log = log(part="connections")
PAGE = 512
AGAIN_S = 0.4  # whoever was let in just before the revocation is on the list by then
SWEEP_EVERY_S = 60.0  # for what a crash or a lost SYS connection kept us from ending
TAKEOVER_S = 0.3  # then the kick comes, and with it a will
RECENT_S = 5.0  # a replica reads the registry's events sooner than this
STALE = timedelta(seconds=90)  # longer than from one sweep to the next
FAR = datetime.max.replace(tzinfo=UTC)
QUEUE_MAX = 10_000  # revocations that wait; above it the next sweep does it


TakeOver = Callable[[list[str]], Awaitable[None]]
"""Ends the connections of these client ids, with what belongs to them."""


class Live(NamedTuple):
    """One connection of the device account."""

    server: str
    cid: int
    user: str
    started: datetime = NEVER
    client_id: str = ""


class LetIn(NamedTuple):
    at: float
    server: str
    cid: int
    user: str


class Connections:
    """`run()` is its task; as a listener of the directory it hears of revocations."""

    def __init__(self, connz: Connz, directory: Directory, take_over: TakeOver | None = None) -> None:
        self._connz, self._directory, self._take_over = connz, directory, take_over
        self._recent: deque[LetIn] = deque()
        # Let in by what no longer held, as it turned out: from when they must go, until when that is kept.
        self._stale: dict[tuple[str, int], tuple[datetime, datetime]] = {}
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_MAX)  # a user, or None for everybody

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        if not self._directory.caught_up:
            return  # history: the first sweep looks at everybody
        if isinstance(recorded.event, CredentialRevoked | OrganizationDeleted):
            self.look_at(entity.id if entity.kind == "credential" else None)
        elif entity.kind == "credential":
            entry = self._directory.credentials.by_id[entity.id]
            if entry.cut == recorded.sequence:
                self._mark_stale(entity.id, entry.state)
                self.look_at(entity.id)

    def _mark_stale(self, id: str, state: Credential) -> None:
        """What was let in here until now was by what holds no longer, whenever it began."""
        now = datetime.now(UTC)
        begins = state.previous.until if state.previous is not None else now
        for let_in in self._recent:
            if let_in.user == id:
                self._stale[let_in.server, let_in.cid] = (begins, max(begins, now) + STALE)

    def let_in(self, server: str, cid: int, user: str) -> None:
        """To be told of each connect that is allowed here: it may have been by what had just changed."""
        now = asyncio.get_running_loop().time()
        self._recent.append(LetIn(now, server, cid, user))
        while self._recent[0].at < now - RECENT_S:
            self._recent.popleft()

    def look_at(self, user: str | None) -> None:
        """Soon ends what this user (None: anybody) may no longer hold."""
        if not self._queue.full():
            self._queue.put_nowait(user)

    async def run(self) -> None:
        """Until cancelled: what is revoked at once, and everybody now and then."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            while True:
                user = await self._queue.get()
                tasks.create_task(self._end_twice(user))

    async def live(self) -> list[Live]:
        """All connections of the device account, as far as servers answer in time."""
        found: list[Live] = []
        offset = 0
        while True:
            full = False
            async for page in self._ask({"limit": PAGE, "offset": offset}):
                found += page
                full = full or len(page) >= PAGE
            if not full:
                return found
            offset += PAGE

    async def end(self, connections: list[Live]) -> None:
        """Disconnects those that are not allowed (any more)."""
        forbidden = [live for live in connections if not self.allowed(live)]
        departed = [live.client_id for live in forbidden if live.client_id and self._departed(live.user)]
        if departed and self._take_over is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._take_over(departed), TAKEOVER_S)
        for live in forbidden:
            await self._connz.kick(live.server, live.cid)
        if forbidden:
            _log.info("connections ended", count=len(forbidden))

    def _departed(self, user: str) -> bool:
        """Whether the credential itself has ended: then no will of it is to be heard."""
        entry = self._directory.credentials.by_id.get(user)
        if entry is None:
            return False
        return entry.state.status == "ended" or not self._directory.active(entry.organization)

    def allowed(self, live: Live) -> bool:
        """Whether this connection may go on; the platform's own always may."""
        if CREDENTIAL.fullmatch(live.user) is None:
            return True
        entry = self._directory.credentials.by_id.get(live.user)
        if entry is None:
            return True  # of another replica's making, not read here yet
        now = datetime.now(UTC)
        if not self._directory.active(entry.organization) or standing(entry.state, now) != "active":
            return False
        # The server cannot change what a live connection may do: what began with more than now holds goes.
        sound_from = entry.narrowed_at
        grace = entry.state.previous.until if entry.state.previous is not None else now
        if grace <= now:
            sound_from = max(sound_from, entry.rotated_at)
        stale_from, _ = self._stale.get((live.server, live.cid), (FAR, FAR))
        return live.started >= sound_from and now < stale_from

    async def _end_twice(self, user: str | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end_forbidden(user))
            await asyncio.sleep(AGAIN_S)
            tasks.create_task(self._end_forbidden(user))

    async def _sweep(self) -> None:
        while True:
            now = datetime.now(UTC)
            self._stale = {key: span for key, span in self._stale.items() if span[1] > now}
            await self._end_forbidden(None)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _end_forbidden(self, user: str | None) -> None:
        try:
            if user is None:
                await self.end(await self.live())
                return
            async for page in self._ask({"user": user}):
                await self.end(page)
        except (Unavailable, nats.errors.Error, OSError) as error:
            _log.warning("connections cannot be ended now", user=user, error=repr(error))

    async def _ask(self, query: dict[str, Any]) -> AsyncIterator[list[Live]]:
        """Connections of the device account, server by server, as they answer in time."""
        async for server, page in self._connz.answers(query):
            yield [
                Live(
                    server,
                    one.cid,
                    one.authorized_user,
                    parse_time(one.start) if one.start else NEVER,
                    one.mqtt_client,
                )
                for one in page
            ]
