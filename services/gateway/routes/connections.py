"""Publishing through an integration's connection."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from litestar import post
from litestar.params import JSONBody
from pydantic import JsonValue
from pydantic_core import to_json

from contracts.failures import Refused
from contracts.integrations import (
    HOSTED,
    PUBLISH,
    Publish,
    Published,
)
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.topics import check_topic
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.problems import FieldError, Invalid
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend
from services.gateway.topic_space import whole


class MessageToPublish(Body):
    """`payload`: text goes out as it is, any other JSON value as its JSON. `payload_base64`: any bytes."""

    topic: str
    payload: JsonValue = None
    payload_base64: str | None = None
    qos: Literal[0, 1, 2] = 0
    retain: bool = False

    def payload_bytes(self) -> bytes:
        """The bytes to publish; raises Invalid, or Refused("payload.too_large")."""
        sent = {"payload", "payload_base64"} & self.model_fields_set
        if len(sent) != 1:
            raise Invalid([FieldError(field="payload", detail="send `payload` or `payload_base64`")])
        if self.payload_base64 is not None:
            data = from_base64(self.payload_base64)
        else:
            data = self.payload.encode() if isinstance(self.payload, str) else to_json(self.payload)
        return check_size(data)


def from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid([FieldError(field="payload_base64", detail="it is not valid base64")]) from None


def check_size(payload: bytes) -> bytes:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refused(
            "payload.too_large",
            f"it has {len(payload)} bytes, at most {PAYLOAD_BYTES_MAX} are taken",
            field="payload",
        )
    return payload


@post(
    "/v1/integrations/{id:str}/publish",
    status_code=200,
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={
        "failures": (
            "topic.invalid",
            "topic.forbidden",
            "payload.too_large",
            "link.down",
            "broker.unreachable",
            "broker.refused",
            "broker.timeout",
        )
    },
)
async def publish(
    id: Id,
    data: JSONBody[MessageToPublish],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> Published:
    """Publish through an integration's connection, with QoS and retain. 502 where the broker is away.

    On the hosted broker a topic may leave out the organization's prefix.
    """
    organization = caller.organization
    payload = data.payload_bytes()
    if id == HOSTED:
        topic = whole(data.topic, organization)
    else:
        topic = data.topic
        try:
            check_topic(topic, hosted=False)
        except Refused as refused:
            raise Refused(refused.code, refused.detail, field="topic") from None
    command = Publish(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        integration=id,
        topic=topic,
        payload=base64.b64encode(payload).decode(),
        qos=data.qos,
        retain=data.retain,
    )
    return await gateway.ask(PUBLISH, command)


ROUTES = [publish]
