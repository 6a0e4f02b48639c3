"""Publishing through an integration's connection, one message or many at once."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from litestar import post
from litestar.params import JSONBody
from pydantic import BaseModel, Field

from contracts.failures import Failure, Refused, from_dict
from contracts.integrations import HOSTED
from contracts.organizations import Principal
from contracts.publishing import (
    BATCH_BYTES_MAX,
    MESSAGES_MAX,
    PUBLISH,
    PUBLISH_BATCH,
    PUBLISH_BATCH_TO_LINK,
    PUBLISH_TO_LINK,
    BatchPublished,
    Message,
    Outcome,
    Publish,
    PublishBatch,
    Published,
)
from contracts.topics import check_topic
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, Id
from services.gateway.payloads import WithPayload
from services.gateway.problems import Problem, problem
from services.gateway.settings import BATCH_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway
from services.gateway.topic_space import whole

_FAILURES = (
    "topic.invalid",
    "topic.forbidden",
    "payload.too_large",
    "limit.reached",
    "link.down",
    "broker.refused",
    "broker.timeout",
)


class MessageToPublish(WithPayload):
    """`payload`: text goes out as it is, any other JSON value as its JSON. `payload_base64`: any bytes."""

    topic: str
    qos: Literal[0, 1, 2] = 0
    retain: bool = False

    def whole(self, caller: Principal, integration: str) -> tuple[Message, int]:
        """As it goes to ingest, and the size of its payload."""
        payload = self.payload_bytes()
        if integration == HOSTED:
            topic = whole(self.topic, caller.organization)
        else:
            topic = self.topic
            try:
                check_topic(topic, hosted=False)
            except Refused as refused:
                raise Refused(refused.code, refused.detail, field="topic") from None
        text = base64.b64encode(payload).decode()
        return Message(topic=topic, payload=text, qos=self.qos, retain=self.retain), len(payload)


class MessagesToPublish(Body):
    messages: Annotated[tuple[MessageToPublish, ...], Field(min_length=1, max_length=MESSAGES_MAX)]


class PublishResult(BaseModel):
    """What became of a message: sent (`acknowledged` by the broker with QoS 1 and 2), or refused by `error`."""

    acknowledged: bool = False
    remark: str | None = None
    error: Problem | None = None


class PublishResults(BaseModel):
    """In the order of the messages."""

    published: int
    failed: int
    results: list[PublishResult]
    duration_ms: float


@post(
    "/v1/integrations/{id:str}/publish",
    status_code=200,
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={"failures": _FAILURES},
)
async def publish(id: Id, data: JSONBody[MessageToPublish], gateway: Backend, caller: Caller) -> Published:
    """Publish through an integration's connection, with QoS and retain. Answered with what the broker answered.

    `acknowledged` is the broker's word for QoS 1 and 2; QoS 0 has none. `remark` is what an MQTT 5 broker says
    besides, like "No matching subscribers". 502 where the broker is away or refuses. On the hosted broker a topic
    may leave out the organization's prefix. Sent again it is published again: a command to a device takes an
    `Idempotency-Key`.
    """
    message, size = data.whole(caller, id)
    gateway.metering.take(caller, size)
    request = Publish(organization=caller.organization, actor=caller.actor, integration=id, message=message)
    if id == HOSTED:
        return await gateway.ask(PUBLISH, request)
    return await gateway.ask_link(PUBLISH_TO_LINK, request)


@post(
    "/v1/integrations/{id:str}/publish/batch",
    status_code=200,
    request_max_body_size=BATCH_BODY_BYTES_MAX,
    opt={"failures": _FAILURES},
)
async def publish_batch(
    id: Id, data: JSONBody[MessagesToPublish], gateway: Backend, caller: Caller
) -> PublishResults:
    """Publish up to 1,000 messages at once, each with a result of its own.

    They are written in their order; one that fails does not stop the others. Topics and payloads have 640 KiB
    together. The whole is refused only where there is no connection at all, or nothing of it can be sent.
    """
    batch = _Batch(gateway, caller, id, data.messages)
    answer = await batch.send()
    failed = sum(result.error is not None for result in batch.results)
    return PublishResults(
        published=len(batch.results) - failed,
        failed=failed,
        results=batch.results,
        duration_ms=answer.duration_ms,
    )


class _Batch:
    """One request's messages: those that may be sent go to ingest together."""

    def __init__(
        self, gateway: Gateway, caller: Principal, integration: str, messages: tuple[MessageToPublish, ...]
    ) -> None:
        self._gateway, self._caller, self._integration = gateway, caller, integration
        self._messages = messages
        self.results = [PublishResult() for _ in messages]

    async def send(self) -> BatchPublished:
        """What ingest answered, which is in `results` too. Raises the failure of all where nothing is left."""
        sent, first = self._checked()
        if not sent:
            assert first is not None
            raise first
        request = PublishBatch(
            organization=self._caller.organization,
            actor=self._caller.actor,
            integration=self._integration,
            messages=tuple(message for _, message in sent),
        )
        if self._integration == HOSTED:
            answer = await self._gateway.ask(PUBLISH_BATCH, request)
        else:
            answer = await self._gateway.ask_link(PUBLISH_BATCH_TO_LINK, request)
        for (index, _), outcome in zip(sent, answer.outcomes, strict=True):
            self.results[index] = _result(outcome)
        return answer

    def _checked(self) -> tuple[list[tuple[int, Message]], Failure | None]:
        sent: list[tuple[int, Message]] = []
        first: Failure | None = None
        size = 0
        for index, each in enumerate(self._messages):
            try:
                message, payload_size = each.whole(self._caller, self._integration)
                self._gateway.metering.take(self._caller, payload_size)
            except Refused as refused:
                self.results[index] = PublishResult(error=_problem(refused))
                first = first or refused
                continue
            size += payload_size + len(message.topic.encode())
            if size > BATCH_BYTES_MAX:
                detail = f"topics and payloads of a batch have at most {BATCH_BYTES_MAX} bytes together"
                raise Refused("request.too_large", detail)
            sent.append((index, message))
        return sent, first


def _result(outcome: Outcome) -> PublishResult:
    error = None
    if outcome.failure is not None:
        error = _problem(from_dict({"family": "refused", **outcome.failure.model_dump()}))
    return PublishResult(acknowledged=outcome.acknowledged, remark=outcome.remark, error=error)


def _problem(failure: Failure) -> Problem:
    return Problem.model_validate(problem(failure))


ROUTES = [publish, publish_batch]
