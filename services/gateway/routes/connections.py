"""What ingest does at a broker when asked: test a connection, publish."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from litestar import post
from litestar.params import JSONBody
from pydantic import JsonValue
from pydantic_core import to_json

from contracts.broker_secrets import BrokerSettingsWithSecrets
from contracts.failures import Refused
from contracts.integrations import (
    GET_INTEGRATION,
    HOSTED,
    PUBLISH,
    TEST_CONNECTION,
    ConnectionTested,
    GetIntegration,
    Publish,
    Published,
    TestConnection,
    Topics,
)
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.topics import check_topic
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.problems import FieldError, Invalid
from services.gateway.routes.integrations import secrets_of
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend
from services.gateway.topic_space import whole


class ConnectionToTest(Body):
    settings: BrokerSettingsWithSecrets
    topics: Topics = ()


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
    "/v1/integrations/test",
    status_code=200,
    opt={"failures": ("broker.unreachable", "broker.refused", "broker.timeout", "address.forbidden")},
)
async def test_connection(
    data: JSONBody[ConnectionToTest],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> ConnectionTested:
    """Test a connection before it is saved: each step with what was seen. 502 names the step that failed."""
    organization = caller.organization
    command = TestConnection(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        settings=data.settings.public(),
        secrets=secrets_of(data.settings),
        topics=data.topics,
    )
    return passed(await gateway.ask(TEST_CONNECTION, command))


@post(
    "/v1/integrations/{id:str}/test",
    status_code=200,
    opt={
        "failures": (
            "integration.hosted",
            "broker.unreachable",
            "broker.refused",
            "broker.timeout",
            "address.forbidden",
        )
    },
)
async def test_integration(
    id: Id,
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> ConnectionTested:
    """Test a saved integration, with the secrets that it holds. 502 names the step that failed."""
    organization = caller.organization
    held = await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=organization, actor=caller.actor, id=id)
    )
    if held.settings is None:
        raise Refused("integration.hosted", "the hosted broker needs no connection test")
    command = TestConnection(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        settings=held.settings,
        integration=id,
        topics=held.topics,
    )
    return passed(await gateway.ask(TEST_CONNECTION, command))


def passed(tested: ConnectionTested) -> ConnectionTested:
    """The answer of a test that went well; else Refused with all steps beside the one that failed."""
    if tested.ok:
        return tested
    failed = next((step for step in tested.steps if not step.ok), tested.steps[-1])
    code = {"address": "address.forbidden", "mqtt": "broker.refused", "subscribe": "broker.refused"}.get(
        failed.name, "broker.unreachable"
    )
    detail = f"{failed.name}: {failed.seen}" + (f"; {failed.next_action}" if failed.next_action else "")
    raise Refused(
        code,
        detail,
        field="settings.host" if code == "address.forbidden" else None,
        ok=False,
        step=failed.name,
        steps=[step.model_dump(mode="json") for step in tested.steps],
    )


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


ROUTES = [test_connection, test_integration, publish]
