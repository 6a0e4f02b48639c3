"""Devices that come and go, as activity with counts: from the server's own events, over the SYS account.

`user` of a connection is the user name that the callout let in: a credential's id. The platform's own users
name none, and stay out of this.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from nats.aio.client import Client

from contracts.activity import ActivityRecorded
from contracts.connections import connection_id
from contracts.failures import Unavailable
from runtime import fast_parser
from runtime.activity import ActivityLog
from runtime.jetstream import parse_time
from runtime.observe import log
from services.credentials.directory import Directory
from services.credentials.ids import CREDENTIAL
from services.credentials.user_jwt import ACCOUNT

_log = log(part="sessions")
QUEUE = "credentials"


class Traffic(msgspec.Struct):
    msgs: int = 0
    bytes: int = 0


class Peer(msgspec.Struct):
    id: int = 0
    user: str = ""
    host: str = ""
    start: str = ""
    stop: str = ""
    client_type: str = ""
    client_id: str = ""


class Server(msgspec.Struct):
    id: str = ""


class SysEvent(msgspec.Struct):
    """A CONNECT or a DISCONNECT, as much of it as matters."""

    id: str
    timestamp: str
    client: Peer
    server: Server = msgspec.field(default_factory=Server)
    reason: str = ""
    sent: Traffic = msgspec.field(default_factory=Traffic)
    received: Traffic = msgspec.field(default_factory=Traffic)


_decoder = msgspec.json.Decoder(SysEvent)


class Sessions:
    def __init__(self, system: Client, directory: Directory, activity: ActivityLog) -> None:
        self._system, self._directory, self._activity = system, directory, activity
        self._waiting: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """From now on, each event is recorded by one of the replicas."""
        for kind in ("CONNECT", "DISCONNECT"):
            subject = f"$SYS.ACCOUNT.{ACCOUNT}.{kind}"
            await fast_parser.subscribe(self._system, subject, self._on_event, queue=QUEUE)

    def _on_event(self, subject: bytes, _reply: bytes, _headers: bytes, data: bytes) -> None:
        connected = subject.endswith(b".CONNECT")
        try:
            event = _decoder.decode(data)
            new = event.client.user not in self._directory.credentials.by_id
            if not new or CREDENTIAL.fullmatch(event.client.user) is None:
                self._record(event, connected)
                return
        except (msgspec.DecodeError, ValueError) as error:
            _log.warning("an event of the server cannot be read", subject=subject, error=str(error))
            return
        task = asyncio.create_task(self._record_later(event, connected))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _record_later(self, event: SysEvent, connected: bool) -> None:
        try:
            await self._directory.catch_up()  # another replica let it in
        except Unavailable as error:
            _log.warning("a connection is not recorded", user=event.client.user, error=error.detail)
        self._record(event, connected)

    def _record(self, event: SysEvent, connected: bool) -> None:
        entry = self._directory.credentials.by_id.get(event.client.user)
        if entry is None:
            return
        self._activity.note(
            entry.organization,
            ActivityRecorded(
                kind="device.connected" if connected else "device.disconnected",
                summary="" if connected else event.reason,
                subject=f"credential:{entry.id}",
                device_id=entry.state.device_id,
                duration_ms=None if connected else _duration_ms(event.client),
                details=_details(event, connected),
            ),
            f"device:{entry.id}",
            id=event.id,
            at=parse_time(event.timestamp),
        )


def _details(event: SysEvent, connected: bool) -> dict[str, Any]:
    who: dict[str, Any] = {
        "connection_id": connection_id(event.server.id, event.client.id),
        "client_id": event.client.client_id,
        "address": event.client.host,
        "protocol": event.client.client_type,
    }
    if connected:
        return who
    # `sent` and `received` are the client's view
    return {
        **who,
        "messages_in": event.sent.msgs,
        "bytes_in": event.sent.bytes,
        "messages_out": event.received.msgs,
        "bytes_out": event.received.bytes,
    }


def _duration_ms(client: Peer) -> float | None:
    if not client.start or not client.stop:
        return None
    return (parse_time(client.stop) - parse_time(client.start)).total_seconds() * 1000
