"""Who is connected now, for people and for the read models; ending connections by request."""

from __future__ import annotations

from datetime import UTC, datetime

import nats.errors

from contracts.activity import ActivityRecorded
from contracts.connections import (
    Connection,
    ConnectionCensus,
    DisconnectCredential,
    Disconnected,
    KnownConnection,
    ListAllConnections,
    ListConnections,
    LiveConnections,
    connection_id,
)
from contracts.failures import Refused, Unavailable
from runtime.activity import ActivityLog
from runtime.jetstream import parse_time
from services.credentials.census import Census
from services.credentials.connz import Connz, Listed, Open
from services.credentials.directory import Directory, Entry
from services.credentials.states.credential import Credential
from services.credentials.watch import Watch

SHOWN_MAX = 1000  # of one credential
PAGE = 2000  # of 300 bytes each: an answer is one NATS message, at most 1 MiB


class Live:
    """Handlers of the calls; a list for people is asked from the servers, so it is true now."""

    def __init__(
        self, connz: Connz, census: Census, watch: Watch, directory: Directory, activity: ActivityLog
    ) -> None:
        self._connz, self._census, self._watch = connz, census, watch
        self._directory, self._activity = directory, activity

    async def list(self, request: ListConnections) -> LiveConnections:
        entry = await self._find(request.organization, request.id)
        listed = await self._ask(entry.id)
        items = [
            _connection(server, one) for server, connections in listed.servers.items() for one in connections
        ]
        items.sort(key=lambda connection: connection.connected_at, reverse=True)
        return LiveConnections(items=tuple(items[:SHOWN_MAX]), count=len(items), complete=listed.complete)

    async def disconnect(self, request: DisconnectCredential) -> Disconnected:
        entry = await self._find(request.organization, request.id)
        listed = await self._ask(entry.id)
        wanted = [
            (server, one)
            for server, connections in listed.servers.items()
            for one in connections
            if request.client_id in (None, one.mqtt_client)
        ]
        for server, one in wanted:
            await self._connz.kick(server, one.cid)
        if wanted:
            event = ActivityRecorded(
                kind="credential.disconnected",
                summary=f"{len(wanted)} connections ended by request",
                subject=f"credential:{entry.id}",
                device_id=entry.state.device_id,
                details={"count": len(wanted), "client_id": request.client_id},
            )
            self._activity.note(entry.organization, event, request.actor)
        return Disconnected(disconnected=len(wanted))

    async def everything(self, request: ListAllConnections) -> ConnectionCensus:
        """A page of the census, as it stands now."""
        credentials = self._directory.credentials.by_id
        found = sorted(
            (id, session)
            for key, session in self._census.sessions.items()
            if session.seen and (id := connection_id(*key)) > request.after
        )
        page = found[:PAGE]
        items = tuple(
            KnownConnection(
                id=id,
                organization=session.organization,
                credential=session.credential,
                device_id=entry.state.device_id if (entry := credentials.get(session.credential)) else None,
                client_id=session.client_id,
                address=session.address,
                connected_at=session.connected_at,
            )
            for id, session in page
        )
        return ConnectionCensus(
            at=datetime.now(UTC), complete=self._watch.complete, items=items, more=len(found) > PAGE
        )

    async def _find(self, organization: str, id: str) -> Entry[Credential]:
        if self._directory.credentials.get(organization, id) is None:
            await self._directory.catch_up()
        entry = self._directory.credentials.get(organization, id)
        if entry is None:
            raise Refused("not_found")
        return entry

    async def _ask(self, user: str) -> Listed:
        try:
            listed = await self._connz.of_user(user)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable("service.unavailable", "the broker does not answer; try again") from error
        if not listed.servers:
            raise Unavailable("service.unavailable", "the broker does not answer; try again")
        return listed


def _connection(server: str, one: Open) -> Connection:
    return Connection(
        id=connection_id(server, one.cid),
        client_id=one.mqtt_client,
        address=one.ip,
        connected_at=parse_time(one.start),
        last_activity_at=parse_time(one.last_activity) if one.last_activity else None,
        messages_in=one.in_msgs,
        bytes_in=one.in_bytes,
        messages_out=one.out_msgs,
        bytes_out=one.out_bytes,
        subscriptions=one.subscriptions,
    )
