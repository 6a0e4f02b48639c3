"""Connections of the hosted broker's devices: who is connected now, what has been, ending them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from contracts.calls import Call, Model, Request

ClientId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def connection_id(server: str, number: int) -> str:
    """Names one connection for ever: a server's id is new at each of its starts. The head says enough."""
    return f"{server[:16]}-{number}"


class Connection(Model):
    """A connection that is open; counts are of this connection, `in` is from the device."""

    id: str
    client_id: str
    address: str
    connected_at: datetime
    last_activity_at: datetime | None = None
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    subscriptions: int = 0  # as the broker counts: one of QoS 1 or 2, or with `#`, counts twice


class ListConnections(Request):
    id: str


class LiveConnections(Model):
    """The newest ones of `count`; `complete` is false where a server of the broker did not answer in time."""

    items: tuple[Connection, ...]
    count: int
    complete: bool = True


class DisconnectCredential(Request):
    """All of the credential's connections, or the one of this client id. It may connect again at once."""

    id: str
    client_id: ClientId | None = None


class Disconnected(Model):
    disconnected: int


class ListAllConnections(Model):
    """Of the whole platform, for the read models; `after` is the last id of the page before."""

    after: str = ""


class KnownConnection(Model):
    """An open connection with its owner."""

    id: str
    organization: str
    credential: str
    device_id: str | None
    client_id: str
    address: str
    connected_at: datetime


class ConnectionCensus(Model):
    """What was open at `at`. `complete` is false while not all servers have been heard: nothing is gone."""

    at: datetime
    complete: bool
    items: tuple[KnownConnection, ...]
    more: bool


class GetConnectionStatistics(Model):
    organization: str
    credential: str


class RefusalCount(Model):
    reason: str  # a failure code
    count: int
    last_at: datetime


class ConnectionStatistics(Model):
    """Of one credential since its beginning; counts of messages are of connections that have ended."""

    connects: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    last_connected_at: datetime | None = None
    last_disconnected_at: datetime | None = None
    last_disconnect_reason: str | None = None
    last_seen_at: datetime | None = None
    last_address: str | None = None
    refusals: tuple[RefusalCount, ...] = ()


LIST_CONNECTIONS = Call("query.credentials.connections", ListConnections, LiveConnections)
LIST_ALL_CONNECTIONS = Call("query.credentials.all-connections", ListAllConnections, ConnectionCensus)
DISCONNECT_CREDENTIAL = Call("command.credentials.disconnect-credential", DisconnectCredential, Disconnected)
GET_CONNECTION_STATISTICS = Call(
    "query.telemetry.connection-statistics", GetConnectionStatistics, ConnectionStatistics, timeout_s=10.0
)
