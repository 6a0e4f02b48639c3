"""Organizations: the operator's own calls."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import JSONBody

from contracts.calls import Page
from contracts.organizations import (
    CREATE_ORGANIZATION,
    DELETE_ORGANIZATION,
    LIST_ORGANIZATIONS,
    PLATFORM,
    CreateOrganization,
    DeleteOrganization,
    List,
    Name,
    OrganizationIssued,
    OrganizationView,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend


class NewOrganization(Body):
    name: Name


@post("/v1/organizations")
async def create_organization(
    data: JSONBody[NewOrganization],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> OrganizationIssued:
    """Create an organization, with its first API key. The key's secret is shown this once."""
    command = CreateOrganization(
        organization=PLATFORM, actor=caller.actor, command_id=command_id, name=data.name
    )
    return await gateway.ask(CREATE_ORGANIZATION, command)


@get("/v1/organizations")
async def list_organizations(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[OrganizationView]:
    """List organizations, oldest first."""
    return await gateway.ask(
        LIST_ORGANIZATIONS, List(organization=PLATFORM, actor=caller.actor, limit=limit, cursor=cursor)
    )


@delete("/v1/organizations/{id:str}")
async def delete_organization(id: Id, gateway: Backend, caller: Caller) -> None:
    """Delete an organization: its keys, credentials and integrations end at once."""
    await gateway.ask(
        DELETE_ORGANIZATION, DeleteOrganization(organization=PLATFORM, actor=caller.actor, id=id)
    )


ROUTES = [create_organization, list_organizations, delete_organization]
