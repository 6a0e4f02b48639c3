"""Organizations: the operator's own calls."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody
from pydantic import Field

from contracts.calls import Page
from contracts.organizations import (
    ADMIN_GRACE_SECONDS_MAX,
    CREATE_ORGANIZATION,
    DELETE_ORGANIZATION,
    LIST_ORGANIZATIONS,
    PLATFORM,
    ROTATE_ADMIN_KEY,
    AdminKeySecret,
    CreateOrganization,
    DeleteOrganization,
    List,
    Name,
    OrganizationIssued,
    OrganizationView,
    RotateAdminKey,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend


class NewOrganization(Body):
    name: Name


class AdminKeyRotation(Body):
    """For how long the old key holds beside the new one."""

    grace_seconds: Annotated[int, Field(ge=0, le=ADMIN_GRACE_SECONDS_MAX)] = 0


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


@post("/v1/admin-key/rotate", status_code=200, opt={"failures": ("conflict",)})
async def rotate_admin_key(
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
    data: JSONBody[AdminKeyRotation | None] = None,
) -> AdminKeySecret:
    """Replace the admin key. The new one is shown this once; the old one holds while the grace lasts.

    From then on the key that the service was configured with is of no use. Who loses the new one
    configures another (`ADMIN_KEY`) and restarts the credentials service.
    """
    command = RotateAdminKey(
        organization=PLATFORM,
        actor=caller.actor,
        command_id=command_id,
        grace_seconds=data.grace_seconds if data else 0,
    )
    return await gateway.ask(ROTATE_ADMIN_KEY, command)


ROUTES = [rotate_admin_key, create_organization, list_organizations, delete_organization]
