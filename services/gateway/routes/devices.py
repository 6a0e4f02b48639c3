"""Devices: listed, searched, named, tagged, hidden, forgotten."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Literal, cast, get_args

from litestar import delete, get, patch
from litestar.params import JSONBody, QueryParameter
from pydantic import TypeAdapter, ValidationError

from contracts.calls import Page
from contracts.devices import (
    DESCRIBE_DEVICE,
    FORGET_DEVICE,
    GET_ERASURE,
    LIST_ERASURES,
    DescribeDevice,
    DeviceId,
    DeviceName,
    DeviceSettings,
    Erasure,
    ForgetDevice,
    ForgottenDevice,
    GetErasure,
    ListErasures,
    Metadata,
    Tags,
    normal_tag,
)
from contracts.failures import Refused, Unavailable
from contracts.organizations import Principal
from contracts.telemetry import (
    FILTER_TAGS_MAX,
    GET_DEVICE,
    LIST_DEVICES,
    QUERY_CHARS_MAX,
    DeviceDetail,
    DeviceRow,
    DeviceSort,
    GetDevice,
    ListDevices,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit, Text, moment
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend, Gateway

SORTS: tuple[str, ...] = get_args(DeviceSort)
ONLINE = {"true": True, "false": False}
HIDDEN = {"false": False, "true": True, "all": None}
_ID: TypeAdapter[str] = TypeAdapter(DeviceId)
SHOWN_S = 3.0
LOOK_S = 0.02
_TIME = {"format": "date-time"}

Q = Annotated[
    str | None,
    QueryParameter(
        max_length=QUERY_CHARS_MAX,
        description="The beginning of its id or name, or of a part of them: `Pump-Berlin042` is found by `pump`,"
        " `berlin` and `42`. Several words: all of them",
        schema_extra={"examples": ["pump", "berlin 42"]},
    ),
]
Tag = Annotated[
    list[str] | None,
    QueryParameter(description=f"Given several times, up to {FILTER_TAGS_MAX}: it has all of them"),
]
Sort = Annotated[
    str,
    QueryParameter(
        max_length=16,
        description="`-` for the largest, newest first. `name` is the id where it has none",
        schema_extra={"enum": list(SORTS)},
    ),
]
Online = Annotated[
    str | None,
    QueryParameter(
        max_length=8,
        description="What was last said, by the device or by the hosted broker; of some nothing was",
        schema_extra={"enum": list(ONLINE)},
    ),
]
Hidden = Annotated[
    str,
    QueryParameter(
        max_length=8, description="Those that are hidden, or all", schema_extra={"enum": list(HIDDEN)}
    ),
]
SeenFrom = Annotated[
    str | None,
    QueryParameter(
        name="last_seen_from", description="Heard of then or later; RFC 3339 with zone", schema_extra=_TIME
    ),
]
SeenTo = Annotated[
    str | None,
    QueryParameter(
        name="last_seen_to", description="Not heard of since then; RFC 3339 with zone", schema_extra=_TIME
    ),
]


class DeviceChange(Body):
    """What is left out stays as it is. `name: null` takes the name back; `tags` and `metadata` are replaced as a whole.

    Tags are kept in small letters, with single spaces, each once. `metadata` is any JSON object of up to 4 KiB.
    """

    name: DeviceName | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    hidden: bool | None = None


@get("/v1/devices")
async def list_devices(
    gateway: Backend,
    caller: Caller,
    q: Q = None,
    online: Online = None,
    tag: Tag = None,
    integration_id: Text = None,
    seen_from: SeenFrom = None,
    seen_to: SeenTo = None,
    hidden: Hidden = "false",
    sort: Sort = "-first_seen",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeviceRow]:
    """List devices that were heard of, or described: by default the newest first, without those that are hidden.

    `integration_id`: it sent by this one at least once (`hosted`, `http`, or an integration's id).

    A cursor keeps its place while devices send: with `-last_seen`, those that send again come to the front, where
    the pages behind do not show them."""
    for field, value, allowed in (
        ("sort", sort, SORTS),
        ("hidden", hidden, HIDDEN),
        ("online", "true" if online is None else online, ONLINE),
    ):
        if value not in allowed:
            raise Invalid([FieldError(field=field, detail=f"it is one of {', '.join(allowed)}")])
    since, until = moment("last_seen_from", seen_from), moment("last_seen_to", seen_to)
    if since is not None and until is not None and since >= until:
        raise Invalid([FieldError(field="last_seen_from", detail="it must lie before `last_seen_to`")])
    query = ListDevices(
        organization=caller.organization,
        q=q,
        online=None if online is None else ONLINE[online],
        tag=_tags(tag),
        integration_id=integration_id,
        seen_from=since,
        seen_to=until,
        hidden=HIDDEN[hidden],
        sort=cast("DeviceSort", sort),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_DEVICES, query)


def _tags(tags: list[str] | None) -> tuple[str, ...]:
    """As they are kept; Invalid for what none can be."""
    if tags is not None and len(tags) > FILTER_TAGS_MAX:
        raise Invalid([FieldError(field="tag", detail=f"it is given at most {FILTER_TAGS_MAX} times")])
    try:
        return tuple(sorted({normal_tag(tag) for tag in tags or ()}))
    except ValueError as error:
        raise Invalid([FieldError(field="tag", detail=str(error))]) from None


@get("/v1/devices/{id:str}")
async def get_device(id: Id, gateway: Backend, caller: Caller) -> DeviceDetail:
    """Get a device: name, tags, last seen, online, the latest value of each metric.

    In a path, `/` in an id is `%2F`; the ids `.` and `..`, which browsers and proxies take out of paths, are written
    `~.` and `~..`, and `~.` itself `~~.`."""
    return await gateway.ask(GET_DEVICE, GetDevice(organization=caller.organization, id=id))


@patch("/v1/devices/{id:str}", opt={"failures": ("limit.reached", "organization.deleted")})
async def change_device(
    id: Id, data: JSONBody[DeviceChange], gateway: Backend, caller: Caller, command_id: CommandId
) -> DeviceSettings:
    """Name, tag, describe or hide a device, also before it first sends.

    Its id stays what it is in topics and readings. A hidden device is left out of the list, and goes on as before."""
    name = "" if data.name is None and "name" in data.model_fields_set else data.name
    command = DescribeDevice(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        device_id=device_id(id),
        name=cast("DeviceName | Literal['']", name),
        tags=data.tags,
        metadata=data.metadata,
        hidden=data.hidden,
    )
    return await gateway.ask(DESCRIBE_DEVICE, command)


@delete("/v1/devices/{id:str}", status_code=202, opt={"failures": ("not_found", "organization.deleted")})
async def forget_device(id: Id, gateway: Backend, caller: Caller, command_id: CommandId) -> Erasure:
    """Forget a device: 202 with the job that erases it, what was said of it and everything that it sent.

    Erased are its readings, messages with their payloads, latest values, dead letters and commands, wherever they can
    be asked for; a rebuild and history that is decoded again bring nothing of it back. Later messages make it a new
    device: revoke its credential where none shall come. Asked again, it tells of the same job.

    What stays: the log of messages until it lets go of them by its own limits (30 days; `/v1/stream` can be resumed
    in it), what it sent within payloads of other devices, what a broker keeps retained, and the activity, which is
    the record of who did what."""
    named = device_id(id)
    try:
        await gateway.ask(GET_DEVICE, GetDevice(organization=caller.organization, id=named))
    except Refused:
        query = ListErasures(organization=caller.organization, device_id=named, limit=1)
        before = (await gateway.ask(LIST_ERASURES, query)).items
        if not before:
            raise
        return before[0]
    command = ForgetDevice(
        organization=caller.organization, actor=caller.actor, command_id=command_id, device_id=named
    )
    order = await gateway.ask(FORGET_DEVICE, command)
    return await _shown(gateway, caller, order)


async def _shown(gateway: Gateway, caller: Principal, order: ForgottenDevice) -> Erasure:
    """The job: telemetry hears of it within milliseconds; while it does not, what is known is told."""
    query = GetErasure(organization=caller.organization, id=order.erasure)
    try:
        async with asyncio.timeout(SHOWN_S):
            while True:
                with suppress(Refused):
                    return await gateway.ask(GET_ERASURE, query)
                await asyncio.sleep(LOOK_S)
    except (TimeoutError, Unavailable):
        return Erasure(
            id=order.erasure, device_id=order.device_id, state="ordered", forgotten_at=order.forgotten_at
        )


@get("/v1/erasures")
async def list_erasures(
    gateway: Backend, caller: Caller, device_id: Text = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[Erasure]:
    """List erasures of devices that were forgotten, newest first."""
    query = ListErasures(organization=caller.organization, device_id=device_id, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_ERASURES, query)


@get("/v1/erasures/{id:str}", opt={"failures": ("not_found",)})
async def get_erasure(id: Id, gateway: Backend, caller: Caller) -> Erasure:
    """Get an erasure: how far it is, and how many rows are gone."""
    return await gateway.ask(GET_ERASURE, GetErasure(organization=caller.organization, id=id))


def device_id(id: str) -> str:
    """Refused("not_found") for what no device can be called."""
    try:
        return _ID.validate_python(id)
    except ValidationError:
        raise Refused("not_found", "no device has such an id") from None


ROUTES = [list_devices, get_device, change_device, forget_device, list_erasures, get_erasure]
