"""MQTT credentials of devices."""

from __future__ import annotations

from typing import Annotated, Literal, cast, get_args

from litestar import get, patch, post, put
from litestar.params import JSONBody, QueryParameter
from pydantic import BaseModel, Field, StringConstraints

from contracts.calls import Page
from contracts.credentials import (
    CHANGE_ACL,
    CHANGE_EXPIRY,
    CHECK_ACL,
    GET_CREDENTIAL,
    GET_HISTORY,
    GRACE_SECONDS_MAX,
    ISSUE_CREDENTIAL,
    LIST_CREDENTIALS,
    QUERY_CHARS_MAX,
    RENAME_CREDENTIAL,
    REVOKE_CREDENTIAL,
    ROTATE_CREDENTIAL,
    AclAnswer,
    ChangeAcl,
    ChangeExpiry,
    CheckAcl,
    CredentialHistory,
    CredentialSort,
    CredentialStanding,
    CredentialView,
    CredentialWithPassword,
    DeviceId,
    Filters,
    GetCredential,
    GetHistory,
    IssueCredential,
    ListCredentials,
    RenameCredential,
    RevokeCredential,
    RotateCredential,
)
from contracts.moments import Moment
from contracts.organizations import Name
from services.gateway.bodies import Body
from services.gateway.parameters import At, Caller, CommandId, Cursor, Id, Limit, moment
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend, Gateway

STATES: tuple[str, ...] = get_args(CredentialStanding)
SORTS: tuple[str, ...] = get_args(CredentialSort)

Q = Annotated[
    str | None,
    QueryParameter(
        max_length=QUERY_CHARS_MAX,
        description="A part of its name, device id, id, user name, or of the beginning of its password, in any case",
        schema_extra={"examples": ["boiler", "hmq_dev_a1"]},
    ),
]
Standing = Annotated[
    str | None,
    QueryParameter(
        name="state", max_length=16, description="What it is now", schema_extra={"enum": list(STATES)}
    ),
]
Sort = Annotated[
    str,
    QueryParameter(max_length=16, description="`-` for the newest first", schema_extra={"enum": list(SORTS)}),
]


class NewCredential(Body):
    """Filters may leave out the organization's prefix; without any, the defaults for the device hold."""

    name: Name | None = None
    device_id: DeviceId | None = None
    publish: Filters | None = None
    subscribe: Filters | None = None
    expires_at: Moment | None = None


class CredentialChange(Body):
    name: Name


class PasswordRotation(Body):
    """For how long the old password holds beside the new one; 0 ends it and its sessions at once."""

    grace_seconds: Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)] = 0


class Acl(Body):
    """What is left out stays as it is. `{device_id}` and `{client_id}` are filled in at each connect."""

    publish: Filters | None = None
    subscribe: Filters | None = None


class Expiry(Body):
    """When it ends; null: never."""

    expires_at: Moment | None


class Revocation(Body):
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class Endpoints(BaseModel):
    """Where to connect to."""

    mqtt: str
    ws: str
    mqtts: str | None = None
    wss: str | None = None


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
    return with_endpoints(await gateway.ask(ISSUE_CREDENTIAL, command), gateway)


def with_endpoints(issued: CredentialWithPassword, gateway: Gateway) -> CredentialIssued:
    return CredentialIssued(**issued.model_dump(), endpoints=endpoints_of(gateway))


def endpoints_of(gateway: Gateway) -> Endpoints:
    settings = gateway.settings
    return Endpoints(
        mqtt=settings.public_mqtt_url,
        ws=settings.public_mqtt_ws_url,
        mqtts=settings.public_mqtts_url,
        wss=settings.public_mqtt_wss_url,
    )


@get("/v1/credentials")
async def list_credentials(
    gateway: Backend,
    caller: Caller,
    q: Q = None,
    standing: Standing = None,
    sort: Sort = "created_at",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[CredentialView]:
    """List credentials, by default the oldest first, without their passwords.

    A page may hold fewer than `limit` while there are more: `next_cursor` says whether there are."""
    for field, value, allowed in (("state", standing or STATES[0], STATES), ("sort", sort, SORTS)):
        if value not in allowed:
            raise Invalid([FieldError(field=field, detail=f"it is one of {', '.join(allowed)}")])
    query = ListCredentials(
        organization=caller.organization,
        actor=caller.actor,
        q=q,
        state=cast("CredentialStanding | None", standing),
        sort=cast("CredentialSort", sort),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_CREDENTIALS, query)


@get("/v1/credentials/{id:str}")
async def get_credential(id: Id, gateway: Backend, caller: Caller) -> CredentialView:
    """Get a credential, without its password."""
    return await gateway.ask(
        GET_CREDENTIAL, GetCredential(organization=caller.organization, actor=caller.actor, id=id)
    )


@patch("/v1/credentials/{id:str}")
async def rename_credential(
    id: Id, data: JSONBody[CredentialChange], gateway: Backend, caller: Caller
) -> CredentialView:
    """Give a credential another name. Devices notice nothing."""
    command = RenameCredential(organization=caller.organization, actor=caller.actor, id=id, name=data.name)
    return await gateway.ask(RENAME_CREDENTIAL, command)


@post(
    "/v1/credentials/{id:str}/rotate",
    status_code=200,
    opt={"failures": ("credential.revoked", "credential.expired", "conflict")},
)
async def rotate_credential(
    id: Id,
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
    data: JSONBody[PasswordRotation | None] = None,
) -> CredentialIssued:
    """Replace a credential's password. The new one is shown this once.

    While the grace lasts, both hold, and `secrets` shows which one was used when. At its end, sessions that
    began with the old one are closed. At most two hold at a time: a second rotation ends the first one's.
    """
    command = RotateCredential(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        grace_seconds=data.grace_seconds if data else 0,
    )
    return with_endpoints(await gateway.ask(ROTATE_CREDENTIAL, command), gateway)


@put(
    "/v1/credentials/{id:str}/acl",
    opt={
        "failures": (
            "acl.outside",
            "filter.invalid",
            "credential.revoked",
            "credential.expired",
            "conflict",
        )
    },
)
async def change_acl(id: Id, data: JSONBody[Acl], gateway: Backend, caller: Caller) -> CredentialView:
    """Change what a credential may publish and subscribe to.

    Where something is taken away, its live sessions are closed within a second and come back with the new
    rights. Where filters are only added, live sessions go on with what they had: a broker cannot widen a
    connection, so the new filters hold from the device's next connect.
    """
    if data.publish is None and data.subscribe is None:
        raise Invalid([FieldError(field="publish", detail="send `publish`, `subscribe` or both")])
    command = ChangeAcl(
        organization=caller.organization, actor=caller.actor, id=id, **data.model_dump(exclude_none=True)
    )
    return await gateway.ask(CHANGE_ACL, command)


@put(
    "/v1/credentials/{id:str}/expiry",
    opt={"failures": ("expiry.past", "credential.revoked", "credential.expired", "conflict")},
)
async def change_expiry(
    id: Id, data: JSONBody[Expiry], gateway: Backend, caller: Caller, command_id: CommandId
) -> CredentialView:
    """Let a credential end earlier, later, or never. What has ended stays so.

    At its end live sessions are closed within a second. A session that began before it was prolonged may be closed
    at the earlier end, and comes back at once.
    """
    command = ChangeExpiry(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        expires_at=data.expires_at,
    )
    return await gateway.ask(CHANGE_EXPIRY, command)


@get("/v1/credentials/{id:str}/history")
async def credential_history(
    id: Id,
    gateway: Backend,
    caller: Caller,
    at: At = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> CredentialHistory:
    """What happened to a credential, when, and by whom; oldest first.

    With `at`: what it was at that time, and who could publish where; later events are left out.
    """
    query = GetHistory(
        organization=caller.organization,
        actor=caller.actor,
        id=id,
        at=moment("at", at),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(GET_HISTORY, query)


@get("/v1/credentials/{id:str}/acl/check", opt={"failures": ("topic.invalid", "filter.invalid")})
async def check_acl(
    id: Id,
    gateway: Backend,
    caller: Caller,
    action: Annotated[str, QueryParameter(description="`publish` or `subscribe`", max_length=16)],
    topic: Annotated[
        str, QueryParameter(description="A topic, or a filter to subscribe to", max_length=2048)
    ],
) -> AclAnswer:
    """May this credential do that, and which of its filters says so?"""
    if action not in ("publish", "subscribe"):
        raise Invalid([FieldError(field="action", detail="it is `publish` or `subscribe`")])
    doing: Literal["publish", "subscribe"] = "publish" if action == "publish" else "subscribe"
    query = CheckAcl(organization=caller.organization, actor=caller.actor, id=id, action=doing, topic=topic)
    return await gateway.ask(CHECK_ACL, query)


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


ROUTES = [
    issue_credential,
    list_credentials,
    get_credential,
    rename_credential,
    rotate_credential,
    change_acl,
    change_expiry,
    check_acl,
    credential_history,
    revoke_credential,
]
