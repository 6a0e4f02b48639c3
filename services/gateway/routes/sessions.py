"""Connections of a credential's devices on the hosted broker: who is there now, what has been, ending them."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody

from contracts.connections import (
    DISCONNECT_CREDENTIAL,
    GET_CONNECTION_STATISTICS,
    LIST_CONNECTIONS,
    ClientId,
    ConnectionStatistics,
    DisconnectCredential,
    Disconnected,
    GetConnectionStatistics,
    ListConnections,
    LiveConnections,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.state import Backend


class Disconnection(Body):
    client_id: ClientId | None = None


class ConnectionsView(LiveConnections):
    """`statistics` include what is open now."""

    statistics: ConnectionStatistics


@get("/v1/credentials/{id:str}/connections")
async def list_connections(id: Id, gateway: Backend, caller: Caller) -> ConnectionsView:
    """List a credential's open connections, as the broker has them now, and what came of all there were.

    At most the newest 1,000 of `count`. `complete` is false where a server of the broker did not answer.
    """
    live = await gateway.ask(
        LIST_CONNECTIONS, ListConnections(organization=caller.organization, actor=caller.actor, id=id)
    )
    ended = await gateway.ask(
        GET_CONNECTION_STATISTICS, GetConnectionStatistics(organization=caller.organization, credential=id)
    )
    return ConnectionsView(
        items=live.items, count=live.count, complete=live.complete, statistics=_with_open(ended, live)
    )


@post("/v1/credentials/{id:str}/disconnect", status_code=200)
async def disconnect_credential(
    id: Id,
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
    data: JSONBody[Disconnection | None] = None,
) -> Disconnected:
    """End a credential's open connections, or the one of a client id. It may connect again: else revoke it."""
    command = DisconnectCredential(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        client_id=data.client_id if data else None,
    )
    return await gateway.ask(DISCONNECT_CREDENTIAL, command)


def _with_open(ended: ConnectionStatistics, live: LiveConnections) -> ConnectionStatistics:
    """Counts of a connection reach the statistics when it ends."""
    seen = [
        at for at in (ended.last_seen_at, *(one.last_activity_at for one in live.items)) if at is not None
    ]
    return ended.model_copy(
        update={
            "messages_in": ended.messages_in + sum(one.messages_in for one in live.items),
            "bytes_in": ended.bytes_in + sum(one.bytes_in for one in live.items),
            "messages_out": ended.messages_out + sum(one.messages_out for one in live.items),
            "bytes_out": ended.bytes_out + sum(one.bytes_out for one in live.items),
            "last_seen_at": max(seen, default=None),
        }
    )


ROUTES = [list_connections, disconnect_credential]
