"""API keys."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody
from pydantic import Field

from contracts.calls import Page
from contracts.moments import Moment
from contracts.organizations import (
    GET_API_KEY,
    ISSUE_API_KEY,
    LIST_API_KEYS,
    REVOKE_API_KEY,
    ApiKeyView,
    ApiKeyWithSecret,
    GetApiKey,
    IssueApiKey,
    List,
    Name,
    RevokeApiKey,
    Scope,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend


class NewApiKey(Body):
    name: Name
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=10)] = ("read",)
    expires_at: Moment | None = None


@post("/v1/api-keys", opt={"failures": ("expiry.past", "limit.reached")})
async def issue_api_key(
    data: JSONBody[NewApiKey],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> ApiKeyWithSecret:
    """Issue an API key. Its secret is shown this once."""
    organization = caller.organization
    command = IssueApiKey(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        name=data.name,
        scopes=tuple(dict.fromkeys(data.scopes)),
        expires_at=data.expires_at,
    )
    return await gateway.ask(ISSUE_API_KEY, command)


@get("/v1/api-keys")
async def list_api_keys(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[ApiKeyView]:
    """List API keys, oldest first, without their secrets."""
    query = List(organization=caller.organization, actor=caller.actor, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_API_KEYS, query)


@get("/v1/api-keys/{id:str}")
async def get_api_key(id: Id, gateway: Backend, caller: Caller) -> ApiKeyView:
    """Get an API key, without its secret."""
    return await gateway.ask(
        GET_API_KEY, GetApiKey(organization=caller.organization, actor=caller.actor, id=id)
    )


@delete("/v1/api-keys/{id:str}")
async def revoke_api_key(id: Id, gateway: Backend, caller: Caller) -> None:
    """Revoke an API key: the next request with it is refused, its open streams end."""
    await gateway.ask(
        REVOKE_API_KEY, RevokeApiKey(organization=caller.organization, actor=caller.actor, id=id)
    )


ROUTES = [issue_api_key, list_api_keys, get_api_key, revoke_api_key]
