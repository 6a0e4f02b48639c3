"""What happened: listed, filtered, one by one. The filters are those of its export, too."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast, get_args

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from contracts.activity import Status as StatusOfActivity
from contracts.activity_kinds import Direction as DirectionOfKind
from contracts.calls import Page
from contracts.telemetry import (
    GET_ACTIVITY,
    KINDS_MAX,
    LIST_ACTIVITY,
    QUERY_CHARS_MAX,
    ActivityFilter,
    ActivityRow,
    GetActivity,
    ListActivity,
)
from services.gateway.parameters import Caller, Cursor, From, Id, Limit, Text, To, span_of
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

STATUSES: tuple[str, ...] = get_args(StatusOfActivity)
DIRECTIONS: tuple[str, ...] = get_args(DirectionOfKind)
_KIND = re.compile(r"[a-z0-9_-]{1,64}(\.([a-z0-9_-]{1,64}|\*))?")

Kinds = Annotated[
    list[str] | None,
    QueryParameter(
        description="`link.up`, or `link.*` for all that begin so;"
        f" given several times, up to {KINDS_MAX}: any of them",
    ),
]
Status = Annotated[str | None, QueryParameter(max_length=16, schema_extra={"enum": list(STATUSES)})]
Direction = Annotated[
    str | None,
    QueryParameter(
        max_length=8,
        description="`in`: of devices and brokers to the platform; `out`: of the platform to them and to webhooks;"
        " `own`: by people and the platform itself",
        schema_extra={"enum": list(DIRECTIONS)},
    ),
]
Q = Annotated[
    str | None,
    QueryParameter(
        max_length=QUERY_CHARS_MAX,
        description="All of these words, anywhere in what is said. Without `from`, in the last seven days",
    ),
]


def _asked(
    kind: Kinds = None,
    status: Status = None,
    direction: Direction = None,
    device_id: Text = None,
    integration_id: Text = None,
    credential_id: Text = None,
    actor: Text = None,
    q: Q = None,
    from_: From = None,
    to: To = None,
) -> ActivityFilter:
    """The query parameters of a filtered route; Invalid names what cannot be."""
    kinds = tuple(dict.fromkeys(kind or ()))
    errors = []
    if len(kinds) > KINDS_MAX:
        errors.append(FieldError(field="kind", detail=f"it is given at most {KINDS_MAX} times"))
    elif any(not _KIND.fullmatch(each) for each in kinds):
        errors.append(FieldError(field="kind", detail="a kind is like `link.up`, or `link.*`"))
    for field, value, allowed in (("status", status, STATUSES), ("direction", direction, DIRECTIONS)):
        if value is not None and value not in allowed:
            errors.append(FieldError(field=field, detail=f"it is one of {', '.join(allowed)}"))
    if errors:
        raise Invalid(errors)
    first, last = span_of(from_, to)
    return ActivityFilter(
        kind=kinds,
        status=status,
        direction=cast("Any", direction),
        device_id=device_id,
        integration_id=integration_id,
        credential_id=credential_id,
        actor=actor,
        q=q,
        from_=first,
        to=last,
    )


FILTER = {"wanted": Provide(_asked, sync_to_thread=False)}
Wanted = NamedDependency[ActivityFilter]
"""How a route with the dependencies `FILTER` asks for it: `wanted: Wanted`."""


@get("/v1/activity", dependencies=FILTER)
async def list_activity(
    gateway: Backend, caller: Caller, wanted: Wanted, limit: Limit = 100, cursor: Cursor = None
) -> Page[ActivityRow]:
    """List what happened, newest first: connects, refusals, links, publishes, alerts, what was made and revoked.

    `integration_id`, `credential_id`: what happened to it, and to its link or its connections. `actor`: who did it
    (`key:key_…`, `device:cred_…`, or a part of the platform). `trace_id` is that of the request or the message that it
    came of.

    Publishes that work are the first ones of a minute each, then a number; what fails is always there."""
    query = ListActivity(**wanted.model_dump(), organization=caller.organization, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_ACTIVITY, query)


@get("/v1/activity/{id:str}", opt={"failures": ("not_found",)})
async def get_activity(id: Id, gateway: Backend, caller: Caller) -> ActivityRow:
    """Get one entry of the activity."""
    return await gateway.ask(GET_ACTIVITY, GetActivity(organization=caller.organization, id=id))


ROUTES = [list_activity, get_activity]
