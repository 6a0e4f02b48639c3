"""What nats-server says of the device account's connections (CONNZ over the SYS account)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from services.credentials.user_jwt import ACCOUNT

ANSWERS_S = 0.5  # servers that have not answered by then are left out
# All in one answer: each page costs the server a look at every connection, and between two of them some move.
CONNECTIONS_MAX = 65_536


class Open(msgspec.Struct):
    """One connection, as much of it as matters."""

    cid: int
    ip: str = ""
    start: str = ""
    last_activity: str = ""
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    subscriptions: int = 0
    subscriptions_list: tuple[str, ...] = ()
    authorized_user: str = ""
    mqtt_client: str = ""


class _Data(msgspec.Struct):
    connections: list[Open] = msgspec.field(default_factory=list)


class _Server(msgspec.Struct):
    id: str


class _Answer(msgspec.Struct):
    server: _Server
    data: _Data = msgspec.field(default_factory=_Data)


_decoder = msgspec.json.Decoder(_Answer)


class Listed(NamedTuple):
    """Connections by server; `complete` where all servers that answered lately have answered."""

    servers: dict[str, list[Open]]
    complete: bool


class Connz:
    """Knows the servers that answer: it waits for these, and for one that is new only when it is quick."""

    def __init__(self, system: Client) -> None:
        self._system = system
        self._servers: set[str] = set()
        self._inbox = system.new_inbox()  # nobody listens: the server ignores a kick that asks for no answer

    async def everything(self) -> Listed:
        """All connections. Takes its time, to hear of servers that are new; forgets those that are gone."""
        listed = await self._list({"limit": CONNECTIONS_MAX}, wait=True)
        self._servers = set(listed.servers)
        return listed

    async def of_user(self, user: str) -> Listed:
        """One user's; back as soon as all known servers have answered."""
        return await self._list({"user": user, "limit": CONNECTIONS_MAX}, wait=not self._servers)

    async def with_filters(self, user: str | None) -> Listed:
        """One user's or all, with what each is subscribed to, in NATS subjects: dear."""
        query = {"subscriptions": True, "limit": CONNECTIONS_MAX}
        return await self._list(query if user is None else {**query, "user": user}, wait=not self._servers)

    async def kick(self, server: str, cid: int) -> None:
        await self._system.publish(f"$SYS.REQ.SERVER.{server}.KICK", b'{"cid":%d}' % cid, reply=self._inbox)

    async def _list(self, query: dict[str, Any], *, wait: bool) -> Listed:
        expected = set(self._servers)
        found: dict[str, list[Open]] = {}
        async for server, connections in self.answers(query):
            found[server] = connections
            if not wait and expected <= found.keys():
                break
        return Listed(found, bool(found) and expected <= found.keys())

    async def answers(self, query: dict[str, Any]) -> AsyncIterator[tuple[str, list[Open]]]:
        """Server by server, as they answer in time."""
        inbox = self._system.new_inbox()
        subscription = await self._system.subscribe(inbox)
        body = json.dumps({"auth": True, "acc": ACCOUNT, **query}).encode()
        try:
            await self._system.publish("$SYS.REQ.SERVER.PING.CONNZ", body, reply=inbox)
            deadline = asyncio.get_running_loop().time() + ANSWERS_S
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                answer = _decoder.decode((await subscription.next_msg(timeout=left)).data)
                yield answer.server.id, answer.data.connections
        except (nats.errors.TimeoutError, TimeoutError):
            pass  # the time is over
        finally:
            if not self._system.is_closed:
                await subscription.unsubscribe()
