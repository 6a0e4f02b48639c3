"""Keeps the census true: by the servers' events as they come, and by a look at all connections now and then.

Every replica does so for itself: each must know the counts that it decides by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from runtime.jetstream import parse_time
from runtime.observe import log
from services.credentials.census import Census, Key, Session
from services.credentials.connz import Connz, Open
from services.credentials.directory import Directory
from services.credentials.sessions import SysEvent
from services.credentials.user_jwt import ACCOUNT

_log = log(part="watch")
SLICE = 500  # connections looked at in a run: a millisecond, and then connects have their turn
_decoder = msgspec.json.Decoder(SysEvent)
AfterLook = Callable[[float], Awaitable[None]]
"""Called with the seconds since the look before."""


class Watch:
    """`run()` is its task; `at` is the time of the last look, `complete` whether all servers were in it."""

    def __init__(
        self, system: Client, connz: Connz, directory: Directory, census: Census, every_s: float
    ) -> None:
        self._system, self._connz = system, connz
        self._directory, self._census = directory, census
        self._every_s = every_s
        self._after: list[AfterLook] = []
        self.at: datetime | None = None
        self.complete = False

    def after_look(self, act: AfterLook) -> None:
        self._after.append(act)

    async def serve(self) -> None:
        """Hears of all connects and disconnects from now on, and has looked once."""
        for kind in ("CONNECT", "DISCONNECT"):
            await self._system.subscribe(f"$SYS.ACCOUNT.{ACCOUNT}.{kind}", cb=self._on_event)
        await self._try_look()

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            await asyncio.sleep(self._every_s)
            before, looked = looked, clock()
            if await self._try_look():
                for act in self._after:
                    await act(looked - before)

    async def _try_look(self) -> bool:
        began, now = datetime.now(UTC), asyncio.get_running_loop().time()
        try:
            listed = await self._connz.everything()
        except (nats.errors.Error, OSError) as error:
            _log.warning("connections cannot be listed now", error=repr(error))
            self.complete = False
            return False
        for server, connections in listed.servers.items():
            for start in range(0, len(connections), SLICE):
                for one in self._census.see(server, connections[start : start + SLICE]):
                    if (session := self._session(Key(server, one.cid), one, now)) is not None:
                        self._census.add(session)
                await asyncio.sleep(0)
        self._census.seen(now)
        self.at, self.complete = began, listed.complete
        return listed.complete

    def _session(self, key: Key, one: Open, now: float) -> Session | None:
        """Its counts so far are no news. None: of the platform's own, or of a credential not read yet."""
        entry = self._directory.credentials.by_id.get(one.authorized_user)
        if entry is None:
            return None
        return Session(
            key=key,
            organization=entry.organization,
            credential=entry.id,
            client_id=one.mqtt_client,
            address=one.ip,
            since=now,
            connected_at=parse_time(one.start),
            seen=True,
            messages_in=one.in_msgs,
            bytes_in=one.in_bytes,
        )

    async def _on_event(self, message: Msg) -> None:
        try:
            event = _decoder.decode(message.data)
        except msgspec.DecodeError as error:
            _log.warning("an event of the server cannot be read", subject=message.subject, error=str(error))
            return
        key, now = Key(event.server.id, event.client.id), asyncio.get_running_loop().time()
        if message.subject.endswith(".DISCONNECT"):
            # `sent` is what the client sent
            self._census.end(key, now, event.sent.msgs, event.sent.bytes)
            return
        entry = self._directory.credentials.by_id.get(event.client.user)
        if entry is not None:  # else the next look finds it
            self._census.add(
                Session(
                    key=key,
                    organization=entry.organization,
                    credential=entry.id,
                    client_id=event.client.client_id,
                    address=event.client.host,
                    since=now,
                    connected_at=parse_time(event.client.start or event.timestamp),
                    seen=True,
                )
            )
