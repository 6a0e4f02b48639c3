"""Limits with their current use: seen by a tenant, set by the operator, and for single credentials by the tenant."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from contracts.limits import (
    CHANGE_CREDENTIAL_LIMITS,
    CHANGE_ORGANIZATION_LIMITS,
    GET_LIMITS,
    ChangeCredentialLimits,
    ChangeOrganizationLimits,
    GetLimits,
    Limits,
    LimitsView,
)
from contracts.organizations import PLATFORM
from services.gateway.parameters import Caller, CommandId, Id, Text
from services.gateway.state import Backend


class LimitsToSet(Limits):
    """All that is set: what is left out is the platform's default again."""

    def plain(self) -> Limits:
        return Limits(**self.model_dump())


@get("/v1/limits", opt={"failures": ("not_found",)})
async def get_limits(gateway: Backend, caller: Caller, credential_id: Text = None) -> LimitsView:
    """Get the limits of the organization, or of one credential, and what is used of them now.

    `held` says by what: `connect` refuses a connection; `measured` disconnects who is over it for long, for a
    while, since MQTT cannot hold a message back; `http` refuses a message with limit.reached.
    """
    query = GetLimits(organization=caller.organization, actor=caller.actor, credential=credential_id)
    return await gateway.ask(GET_LIMITS, query)


@put("/v1/credentials/{id:str}/limits", opt={"failures": ("credential.revoked",)})
async def limit_credential(
    id: Id, data: JSONBody[LimitsToSet], gateway: Backend, caller: Caller, command_id: CommandId
) -> LimitsView:
    """Set a credential's limits. The organization's hold besides."""
    command = ChangeCredentialLimits(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        limits=data.plain(),
    )
    return await gateway.ask(CHANGE_CREDENTIAL_LIMITS, command)


@put("/v1/organizations/{id:str}/limits", opt={"failures": ("organization.deleted",)})
async def limit_organization(
    id: Id, data: JSONBody[LimitsToSet], gateway: Backend, caller: Caller, command_id: CommandId
) -> LimitsView:
    """Set an organization's limits."""
    command = ChangeOrganizationLimits(
        organization=PLATFORM, actor=caller.actor, command_id=command_id, id=id, limits=data.plain()
    )
    return await gateway.ask(CHANGE_ORGANIZATION_LIMITS, command)


ROUTES = [get_limits, limit_credential, limit_organization]
