"""Devices that come and go, as activity with counts: from the server's own events, over the SYS account.

`user` of a connection is the user name that the callout let in: a credential's id. The platform's own users
name none, and stay out of this.
"""

from __future__ import annotations

from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.activity import ActivityRecorded
from contracts.connections import connection_id
from contracts.failures import Unavailable
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

    async def serve(self) -> None:
        """From now on, each event is recorded by one of the replicas."""
        for kind in ("CONNECT", "DISCONNECT"):
            await self._system.subscribe(f"$SYS.ACCOUNT.{ACCOUNT}.{kind}", queue=QUEUE, cb=self._on_event)

    async def _on_event(self, message: Msg) -> None:
        try:
            event = _decoder.decode(message.data)
        except msgspec.DecodeError as error:
            _log.warning("an event of the server cannot be read", subject=message.subject, error=str(error))
            return
        credentials = self._directory.credentials.by_id
        if event.client.user not in credentials and CREDENTIAL.fullmatch(event.client.user):
            try:
                await self._directory.catch_up()  # another replica let it in
            except Unavailable as error:
                _log.warning("a connection is not recorded", user=event.client.user, error=error.detail)
        entry = credentials.get(event.client.user)
        if entry is None:
            return
        connected = message.subject.endswith(".CONNECT")
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
