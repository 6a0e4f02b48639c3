"""Commands to devices: ordered here, sent by ingest, each step an event."""

from __future__ import annotations

import base64
from typing import Annotated, Literal, get_args

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import Field, StringConstraints

from contracts.broker_topics import check_publish
from contracts.calls import Page
from contracts.device_command_state import correlation_of, view
from contracts.device_commands import (
    CORRELATION_CHARS_MAX,
    EXPIRES_IN_S,
    EXPIRES_IN_S_MAX,
    GET_DEVICE_COMMAND,
    LIST_DEVICE_COMMANDS,
    RESPONSES,
    WAIT_S_MAX,
    DeviceCommandQueued,
    DeviceCommandView,
    GetDeviceCommand,
    ListDeviceCommands,
    State,
    new_command_id,
)
from contracts.failures import Refused
from contracts.integrations import GET_INTEGRATION, HOSTED, GetIntegration
from contracts.organizations import Principal
from contracts.topics import check_device_id, check_topic
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.payloads import WithPayload
from services.gateway.problems import FieldError, Invalid
from services.gateway.routes.devices import device_id
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway
from services.gateway.topic_space import whole

_STATES: tuple[str, ...] = get_args(State)
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class CommandToSend(WithPayload):
    """`name` makes the topic `commands/<device>/<name>/<command id>`; `topic` says it.

    `payload`: text goes out as it is, any other JSON value as its JSON. `payload_base64`: any bytes.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:@-]{1,64}$")] | None = None
    topic: str | None = None
    qos: Literal[0, 1, 2] = 1
    retain: bool = False
    integration_id: Text = HOSTED
    response_topic: str | None = None
    wait_s: Annotated[float, Field(ge=0, le=WAIT_S_MAX)] = 0
    expires_in_s: Annotated[int, Field(ge=1, le=EXPIRES_IN_S_MAX)] = EXPIRES_IN_S


@post(
    "/v1/devices/{id:str}/commands",
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={
        "failures": (
            "topic.invalid",
            "topic.forbidden",
            "payload.too_large",
            "limit.reached",
            "log.unavailable",
        )
    },
)
async def send_command(
    id: Id, data: JSONBody[CommandToSend], gateway: Backend, caller: Caller, command_id: CommandId
) -> DeviceCommandView:
    """Send a command to a device. Answered once it is in the log: `queued`.

    It is sent at least once, in order for each device, and never after `expires_in_s`: a broker that is away is
    waited for. `delivered` means that the broker has acknowledged it (QoS 1 and 2), not that the device heard it.

    With `wait_s` the call waits for the device's answer, and gives the command as it stands then. A device
    answers on `response_topic`, by default `<organization>/devices/<device>/responses/<command id>` (without
    the organization on a broker of your own). On a topic that several commands share, an answer is a JSON object
    with the `correlation_id` of the command's payload, or of the command itself; one without it answers the
    command that waits longest. An answer is looked for when `wait_s` or `response_topic` is sent, and on the
    hosted broker's own topic always; with neither, a command that nobody answers does not expire.
    """
    _check_device(id, data.integration_id)
    payload = data.payload_bytes()
    new_id = new_command_id(command_id)
    topic, response_topic = await _topics(gateway, caller, id, data, new_id)
    gateway.metering.take(caller, len(payload))
    correlation = correlation_of(payload)
    order = DeviceCommandQueued(
        device_id=id,
        integration_id=data.integration_id,
        topic=topic,
        payload=base64.b64encode(payload).decode(),
        qos=data.qos,
        retain=data.retain,
        response_topic=response_topic,
        correlation_id=correlation if correlation and len(correlation) <= CORRELATION_CHARS_MAX else new_id,
        answer_expected=data.wait_s > 0 or data.response_topic is not None,
        expires_in_s=data.expires_in_s,
    )
    held = await gateway.orders.place(caller, new_id, order, key=command_id, wait_s=data.wait_s)
    return view(new_id, held)


@get("/v1/devices/{id:str}/commands", opt={"failures": ("store.unavailable",)})
async def list_commands(
    id: Id,
    gateway: Backend,
    caller: Caller,
    standing: Annotated[
        str | None, QueryParameter(name="state", schema_extra={"enum": list(_STATES)})
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeviceCommandView]:
    """List a device's commands, newest first."""
    if standing is not None and standing not in _STATES:
        raise Invalid([FieldError(field="state", detail=f"it is one of {', '.join(_STATES)}")])
    query = ListDeviceCommands.model_validate(
        {
            "organization": caller.organization,
            "device_id": id,
            "state": standing,
            "limit": limit,
            "cursor": cursor,
        }
    )
    return await gateway.ask(LIST_DEVICE_COMMANDS, query)


@get("/v1/devices/{id:str}/commands/{command:str}", opt={"failures": ("store.unavailable",)})
async def get_command(id: Id, command: FromPath[str], gateway: Backend, caller: Caller) -> DeviceCommandView:
    """Get a command as it stands."""
    query = GetDeviceCommand(organization=caller.organization, device_id=id, id=command)
    return await gateway.ask(GET_DEVICE_COMMAND, query)


def _check_device(id: str, integration: str) -> None:
    """On the hosted broker it is a level of topics; a broker of somebody's own may call a device anything."""
    if integration != HOSTED:
        device_id(id)
        return
    try:
        check_device_id(id)
    except Refused as refused:
        raise Refused("not_found", refused.detail) from None


async def _topics(
    gateway: Gateway, caller: Principal, device: str, data: CommandToSend, id: str
) -> tuple[str, str]:
    """Where it goes, and where an answer comes; whole, and allowed."""
    if (data.topic is None) == (data.name is None):
        raise Invalid([FieldError(field="topic", detail="send `topic` or `name`")])
    topic = data.topic if data.topic is not None else f"commands/{device}/{data.name}/{id}"
    response = (
        data.response_topic if data.response_topic is not None else f"devices/{device}/{RESPONSES}/{id}"
    )
    organization = caller.organization
    if data.integration_id == HOSTED:
        topic, response = whole(topic, organization), _response(response, organization)
        if topic.split("/")[1:3] != ["commands", device]:
            raise Refused("topic.invalid", f"a command's topic is below commands/{device}", field="topic")
        levels = response.split("/")
        if levels[1:3] != ["devices", device] or len(levels) < 4 or not levels[3]:
            detail = f"the answer's topic is below devices/{device}"
            raise Refused("topic.invalid", detail, field="response_topic")
        return topic, response
    asked = GetIntegration(organization=organization, actor=caller.actor, id=data.integration_id)
    held = await gateway.ask(GET_INTEGRATION, asked)
    if held.settings is None:
        raise Refused("not_found")
    for field, text in (("topic", topic), ("response_topic", response)):
        try:
            check_topic(text, hosted=False)
        except Refused as refused:
            raise Refused(refused.code, refused.detail, field=field) from None
    check_publish(held.settings, topic, data.qos)
    return topic, response


def _response(topic: str, organization: str) -> str:
    try:
        return whole(topic, organization)
    except Refused as refused:
        raise Refused(refused.code, refused.detail, field="response_topic") from None


ROUTES = [send_command, list_commands, get_command]
