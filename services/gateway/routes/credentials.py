"""MQTT credentials of devices."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody
from pydantic import AwareDatetime, BaseModel, StringConstraints

from contracts.calls import Page
from contracts.credentials import (
    GET_CREDENTIAL,
    ISSUE_CREDENTIAL,
    LIST_CREDENTIALS,
    REVOKE_CREDENTIAL,
    CredentialView,
    CredentialWithPassword,
    DeviceId,
    Filters,
    GetCredential,
    IssueCredential,
    RevokeCredential,
)
from contracts.organizations import List, Name
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend


class NewCredential(Body):
    """Filters may leave out the organization's prefix; without any, the defaults for the device hold."""

    name: Name | None = None
    device_id: DeviceId | None = None
    publish: Filters | None = None
    subscribe: Filters | None = None
    expires_at: AwareDatetime | None = None


class Revocation(Body):
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class Endpoints(BaseModel):
    """Where to connect to."""

    mqtt: str
    ws: str


class CredentialIssued(CredentialWithPassword):
    """All that a device needs to connect."""

    endpoints: Endpoints


@post("/v1/credentials", opt={"failures": ("acl.outside", "filter.invalid", "expiry.past", "limit.reached")})
async def issue_credential(
    data: JSONBody[NewCredential],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> CredentialIssued:
    """Issue an MQTT credential: all that a device needs to connect. The password is shown this once."""
    organization = caller.organization
    command = IssueCredential(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        **data.model_dump(),
    )
    issued = await gateway.ask(ISSUE_CREDENTIAL, command)
    settings = gateway.settings
    endpoints = Endpoints(mqtt=settings.public_mqtt_url, ws=settings.public_mqtt_ws_url)
    return CredentialIssued(**issued.model_dump(), endpoints=endpoints)


@get("/v1/credentials")
async def list_credentials(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[CredentialView]:
    """List credentials, oldest first, without their passwords."""
    query = List(organization=caller.organization, actor=caller.actor, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_CREDENTIALS, query)


@get("/v1/credentials/{id:str}")
async def get_credential(id: Id, gateway: Backend, caller: Caller) -> CredentialView:
    """Get a credential, without its password."""
    return await gateway.ask(
        GET_CREDENTIAL, GetCredential(organization=caller.organization, actor=caller.actor, id=id)
    )


@post("/v1/credentials/{id:str}/revoke", status_code=204)
async def revoke_credential(
    id: Id,
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
    data: JSONBody[Revocation | None] = None,
) -> None:
    """Revoke a credential: its live sessions end within a second. Asking twice is harmless."""
    organization = caller.organization
    command = RevokeCredential(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        reason=data.reason if data else "",
    )
    await gateway.ask(REVOKE_CREDENTIAL, command)


ROUTES = [issue_credential, list_credentials, get_credential, revoke_credential]
