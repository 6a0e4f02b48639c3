"""Connection tests, whole or step by step as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.params import JSONBody
from litestar.response import Stream
from pydantic import StringConstraints
from pydantic_core import to_json

from contracts.broker_checks import check_change, check_unsaved
from contracts.broker_secrets import BrokerSettingsWithSecrets
from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import check_publish, check_topics
from contracts.connection_test import TEST_CONNECTION, ConnectionTested, Step, TestConnection
from contracts.failures import Failure, Refused
from contracts.integrations import GET_INTEGRATION, GetIntegration, Topics
from contracts.topics import TOPIC_BYTES_MAX
from services.gateway.bodies import JSON, Body
from services.gateway.merge import changed_settings
from services.gateway.parameters import Caller, Id
from services.gateway.problems import problem
from services.gateway.routes.integrations import secrets_of
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway

EVENTS = "text/event-stream"
ProbeTopic = Annotated[str, StringConstraints(min_length=1, max_length=TOPIC_BYTES_MAX)]
_HEADERS = {"x-accel-buffering": "no"}  # nginx would hold events back
_EXAMPLE = """\
event: step
data: {"name":"dns","ok":true,"duration_ms":3.1,"seen":"broker.example.com is 203.0.113.7"}

event: step
data: {"name":"tcp","ok":false,"duration_ms":18.4,"seen":"203.0.113.7 port 1883: Connection refused",\
"code":"broker.unreachable","next_action":"Check `port`, that the broker listens on it, and that its \
firewall lets us in."}

event: result
data: {"ok":false,"steps":[…]}

"""
_OPTIONS: dict[str, Any] = {
    "answers": {200: (ConnectionTested,)},
    "events": _EXAMPLE,
    "failures": (
        "address.forbidden",
        "broker.unreachable",
        "broker.refused",
        "broker.timeout",
        "filter.invalid",
        "limit.reached",
        "topic.invalid",
    ),
}


class ConnectionToTest(Body):
    """With `probe_topic`, a message is published to it and must come back."""

    settings: BrokerSettingsWithSecrets
    topics: Topics = ()
    probe_topic: ProbeTopic | None = None


class TestOfIntegration(Body):
    """`settings` and `topics` as in a change of the integration: laid over what is saved, tested, and not saved.

    With `probe_topic`, a message is published to it and must come back."""

    settings: dict[str, Any] | None = None
    topics: Topics | None = None
    probe_topic: ProbeTopic | None = None


@post(
    "/v1/integrations/test",
    status_code=200,
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={**_OPTIONS, "failures": ("certificate.invalid", *_OPTIONS["failures"])},
)
async def test_connection(
    data: JSONBody[ConnectionToTest], gateway: Backend, caller: Caller, request: Request[Any, Any, Any]
) -> Response[Any]:
    """Test a connection before it is saved: each step with what was seen, within ten seconds.

    `Accept: text/event-stream` shows each step as it happens, and the result as the last event. Without it,
    a test that fails answers 502 with the code of the first step that failed, and all steps beside it.
    """
    settings, secrets = data.settings.public(), secrets_of(data.settings)
    check_unsaved(settings, secrets, datetime.now(UTC))
    _check(settings, data.topics, data.probe_topic)
    command = TestConnection(
        organization=caller.organization,
        actor=caller.actor,
        settings=settings,
        secrets=secrets,
        topics=data.topics,
        probe_topic=data.probe_topic,
    )
    return await _answer(gateway, command, request)


@post(
    "/v1/integrations/{id:str}/test",
    status_code=200,
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={**_OPTIONS, "failures": ("integration.hosted", "certificate.invalid", *_OPTIONS["failures"])},
)
async def test_integration(
    id: Id,
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    data: JSONBody[TestOfIntegration | None] = None,  # noqa: PT028 — a route, no test
) -> Response[Any]:
    """Test a saved integration, with the secrets that it holds. It answers as the test before saving does.

    With `settings` or `topics` it is tested as it would be after such a change (`PATCH /v1/integrations/{id}`), which
    is not made. A secret that is not sent, or null, is the one that is held; none is ever sent back.

    The test comes with a client id of its own, beside the connection of the integration; only where AWS IoT
    Core or Azure IoT Hub bind the client id, it takes that connection's place for a moment.
    """
    organization = caller.organization
    held = await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=organization, actor=caller.actor, id=id)
    )
    if held.settings is None:
        raise Refused("integration.hosted", "the hosted broker needs no connection test")
    wished = data or TestOfIntegration()
    settings, secrets = held.settings, {}
    if wished.settings is not None:
        merged = changed_settings(held.settings, wished.settings)
        settings, secrets = merged.public(), secrets_of(merged)
        check_change(settings, secrets, held.settings, held.has_secrets, datetime.now(UTC))
    topics = held.topics if wished.topics is None else wished.topics
    _check(settings, topics, wished.probe_topic)
    command = TestConnection(
        organization=organization,
        actor=caller.actor,
        settings=settings,
        secrets=secrets,
        integration=id,
        topics=topics,
        probe_topic=wished.probe_topic,
    )
    return await _answer(gateway, command, request)


def _check(settings: BrokerSettings, topics: Topics, probe_topic: str | None) -> None:
    check_topics(settings, topics)
    if probe_topic is not None:
        try:
            check_publish(settings, probe_topic, 1)
        except Refused as refused:
            raise Refused(refused.code, refused.detail, field="probe_topic") from None


async def _answer(
    gateway: Gateway, command: TestConnection, request: Request[Any, Any, Any]
) -> Response[Any]:
    if EVENTS not in request.headers.get("accept", "").lower():
        return Response(_passed(await gateway.ask(TEST_CONNECTION, command)), media_type=JSON)
    events = _events(gateway, command)
    first = await anext(events)  # what goes wrong at once is an answer of its own

    async def answer() -> AsyncIterator[bytes]:
        yield first
        async for event in events:
            yield event

    return Stream(answer(), media_type=EVENTS, headers=_HEADERS)


async def _events(gateway: Gateway, command: TestConnection) -> AsyncIterator[bytes]:
    """An event for each step, and the result; a failure of the test itself is raised before the first step,
    and told as an event `problem` later."""
    steps: asyncio.Queue[Step | None] = asyncio.Queue()
    test = asyncio.create_task(gateway.follow(TEST_CONNECTION, command, steps.put))
    test.add_done_callback(lambda _: steps.put_nowait(None))
    told = False
    try:
        while (step := await steps.get()) is not None:
            told = True
            yield _event("step", step.model_dump(mode="json", exclude_none=True))
        try:
            tested = test.result()
        except Failure as failure:
            if not told:
                raise
            yield _event("problem", problem(failure))
        else:
            yield _event("result", tested.model_dump(mode="json", exclude_none=True))
    finally:
        test.cancel()


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data))


def _passed(tested: ConnectionTested) -> ConnectionTested:
    """The answer of a test that went well; else Refused with all steps beside the first that failed."""
    failed = next((step for step in tested.steps if not step.ok), None)
    if failed is None:
        return tested
    code = failed.code or "broker.unreachable"
    raise Refused(
        code,
        f"{failed.name}: {failed.seen}; {failed.next_action}",
        field="settings.host" if code == "address.forbidden" else None,
        ok=False,
        step=failed.name,
        steps=[step.model_dump(mode="json", exclude_none=True) for step in tested.steps],
    )


ROUTES = [test_connection, test_integration]
