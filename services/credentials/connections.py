"""Ends live connections of devices that may no longer be connected, on every server, within a second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts.credentials import CredentialRevoked
from contracts.envelope import Recorded
from contracts.failures import Unavailable
from contracts.organizations import OrganizationDeleted
from contracts.subjects import Entity
from runtime.observe import log
from services.credentials.directory import Directory
from services.credentials.ids import CREDENTIAL
from services.credentials.user_jwt import ACCOUNT
from services.credentials.views import standing

_log = log(part="connections")
PAGE = 512
ANSWERS_S = 0.5  # how long servers may take to list their connections; each is acted upon as it answers
AGAIN_S = 0.4  # whoever was let in just before the revocation is on the list by then
SWEEP_EVERY_S = 60.0  # for what a crash or a lost SYS connection kept us from ending
QUEUE_MAX = 10_000  # revocations that wait; above it the next sweep does it


class Live(NamedTuple):
    """One connection of the device account."""

    server: str
    cid: int
    user: str


class _Connection(msgspec.Struct):
    cid: int
    authorized_user: str = ""


class _Page(msgspec.Struct):
    connections: list[_Connection] = msgspec.field(default_factory=list)


class _Server(msgspec.Struct):
    id: str


class _Answer(msgspec.Struct):
    server: _Server
    data: _Page = msgspec.field(default_factory=_Page)


_decoder = msgspec.json.Decoder(_Answer)


class Connections:
    """`run()` is its task; as a listener of the directory it hears of revocations."""

    def __init__(self, system: Client, directory: Directory) -> None:
        self._system, self._directory = system, directory
        self._inbox = system.new_inbox()  # nobody listens: whoever is gone already is no matter
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_MAX)  # a user, or None for everybody

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        if not self._directory.caught_up:
            return  # history: the first sweep looks at everybody
        if isinstance(recorded.event, CredentialRevoked | OrganizationDeleted) and not self._queue.full():
            self._queue.put_nowait(entity.id if entity.kind == "credential" else None)

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
        forbidden = [live for live in connections if not self.allowed(live.user)]
        for live in forbidden:
            # The server ignores a kick that asks for no answer.
            await self._system.publish(
                f"$SYS.REQ.SERVER.{live.server}.KICK", b'{"cid":%d}' % live.cid, reply=self._inbox
            )
        if forbidden:
            _log.info("connections ended", count=len(forbidden))

    def allowed(self, user: str) -> bool:
        """Whether this user's connections may go on; the platform's own always may."""
        if CREDENTIAL.fullmatch(user) is None:
            return True
        entry = self._directory.credentials.by_id.get(user)
        if entry is None:
            return True  # of another replica's making, not read here yet
        return (
            self._directory.active(entry.organization)
            and standing(entry.state, datetime.now(UTC)) == "active"
        )

    async def _end_twice(self, user: str | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end_forbidden(user))
            await asyncio.sleep(AGAIN_S)
            tasks.create_task(self._end_forbidden(user))

    async def _sweep(self) -> None:
        while True:
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
        inbox = self._system.new_inbox()
        subscription = await self._system.subscribe(inbox)
        body = json.dumps({"auth": True, "acc": ACCOUNT, **query}).encode()
        try:
            await self._system.publish("$SYS.REQ.SERVER.PING.CONNZ", body, reply=inbox)
            deadline = asyncio.get_running_loop().time() + ANSWERS_S
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                answer = _decoder.decode((await subscription.next_msg(timeout=left)).data)
                yield [
                    Live(answer.server.id, connection.cid, connection.authorized_user)
                    for connection in answer.data.connections
                ]
        except (nats.errors.TimeoutError, TimeoutError):
            pass  # the time is over
        finally:
            if not self._system.is_closed:
                await subscription.unsubscribe()
