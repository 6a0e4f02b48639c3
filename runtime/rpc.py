"""Calls between services: requests and answers of `contracts.calls.Call`, over FastStream."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import nats.errors
from faststream import AckPolicy
from faststream.nats import NatsBroker, NatsMessage
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import from_json, to_json

from contracts import failures
from contracts.calls import AnswerT, BulkCall, Call, CallWithSteps, RequestT, StepT
from contracts.failures import Failure, Refused, Unavailable
from runtime.bus import Bus
from runtime.observe import duration, log, mark_failed, span, with_trace

_log = log(part="rpc")
_duration = duration("hybridmq.call.duration", "Time to answer a call")
STEPS = "hmq-steps"  # the header by which a caller says that it follows the steps
CONCURRENT_MAX = 64  # requests of one kind under way in one process; more wait in the subscription


def _reveal(value: Any) -> Any:
    """Secrets go over the bus in plain text (TLS between hosts), and nowhere else."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    raise TypeError(f"cannot encode {type(value).__name__}")


def encode(model: BaseModel) -> bytes:
    return to_json(_plain(model.model_dump(mode="python")), fallback=_reveal)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


async def call(bus: Bus, what: Call[RequestT, AnswerT], request: RequestT) -> AnswerT:
    """The answer. Raises the failure that the other side answered with, or Unavailable: at once with the call's
    `nobody` where nobody serves it, "service.unavailable" when its time is over."""
    return _answer(what, await _asked(bus, what, request))


async def call_bulk(bus: Bus, what: BulkCall[RequestT, AnswerT], request: RequestT) -> tuple[AnswerT, bytes]:
    """The same, with the bytes beside the answer."""
    head, _, beside = (await _asked(bus, what, request)).partition(b"\n")
    return _answer(what, head), beside


async def _asked(bus: Bus, what: Call[RequestT, AnswerT], request: RequestT) -> bytes:
    with span(f"call {what.name}", kind=SpanKind.CLIENT):
        try:
            reply = await bus.client.request(
                what.subject, encode(request), timeout=what.timeout_s, headers=with_trace({})
            )
        except nats.errors.NoRespondersError as error:
            raise Unavailable(what.nobody, "nobody answers at the moment; try again") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("service.unavailable", f"{what.name} did not answer; try again") from error
        return reply.data


def _answer(what: Call[RequestT, AnswerT], data: bytes) -> AnswerT:
    body = from_json(data)
    if "failure" in body:
        raise failures.from_dict(body["failure"])
    return what.answer.model_validate(body["ok"])


async def answer_to(
    what: Call[RequestT, AnswerT],
    handler: Callable[[RequestT], Awaitable[AnswerT]],
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    """What goes back to the caller, whatever happens in the handler."""

    async def made(request: RequestT) -> bytes:
        return _ok(await handler(request))

    return await _answered(what, made, headers, body)


def _ok(answer: BaseModel) -> bytes:
    return b'{"ok":' + encode(answer) + b"}"


async def _answered(
    what: Call[RequestT, AnswerT],
    made: Callable[[RequestT], Awaitable[bytes]],
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    started = time.perf_counter()
    outcome = "ok"
    with span(f"serve {what.name}", parent=headers, kind=SpanKind.SERVER) as current:
        try:
            request = what.request.model_validate_json(body)
            return await made(request)
        except Failure as failure:
            outcome = failure.code
            return to_json({"failure": failure.as_dict()})
        except ValidationError as error:
            outcome = "request.invalid"
            problem = error.errors(include_input=False, include_context=False)[0]
            field = ".".join(str(part) for part in problem["loc"])
            return to_json({"failure": Refused(outcome, problem["msg"], field=field).as_dict()})
        # A defect: logged with its trace, answered so that the caller can go on.
        except Exception as error:  # noqa: BLE001
            outcome = "internal"
            mark_failed(current, repr(error))
            _log.exception("a call failed", call=what.name)
            return to_json({"failure": Unavailable("internal", "see the service's log").as_dict()})
        finally:
            _duration.record(time.perf_counter() - started, {"call": what.name, "outcome": outcome})


def serve(
    broker: NatsBroker,
    what: Call[RequestT, AnswerT],
    handler: Callable[[RequestT], Awaitable[AnswerT]],
    *,
    queue: str,
) -> None:
    """Answers a call in one of the replicas (`queue` is the service's name)."""

    async def answer(message: NatsMessage) -> bytes:
        return await answer_to(what, handler, message.headers, message.body)

    broker.subscriber(what.subject, queue=queue, max_workers=CONCURRENT_MAX, ack_policy=AckPolicy.MANUAL)(
        answer
    )


def serve_bulk(
    broker: NatsBroker,
    what: BulkCall[RequestT, AnswerT],
    handler: Callable[[RequestT], Awaitable[tuple[AnswerT, bytes]]],
    *,
    queue: str,
) -> None:
    """The same for a call whose answer has bytes beside it."""

    async def made(request: RequestT) -> bytes:
        answer, beside = await handler(request)
        return _ok(answer) + b"\n" + beside

    async def answer(message: NatsMessage) -> bytes:
        return await _answered(what, made, message.headers, message.body)

    broker.subscriber(what.subject, queue=queue, max_workers=CONCURRENT_MAX, ack_policy=AckPolicy.MANUAL)(
        answer
    )


Tell = Callable[[StepT], Awaitable[None]]  # one step, to the caller


def serve_with_steps(
    broker: NatsBroker,
    what: CallWithSteps[RequestT, AnswerT, StepT],
    handler: Callable[[RequestT, Tell[StepT]], Awaitable[AnswerT]],
    *,
    queue: str,
) -> None:
    """The same for a call with steps: the handler tells each; a caller that does not follow hears none."""

    async def answer(message: NatsMessage) -> bytes:
        follows = STEPS in message.headers

        async def tell(step: StepT) -> None:
            if follows:
                await message.raw_message.respond(b'{"step":' + encode(step) + b"}")

        return await answer_to(what, lambda asked: handler(asked, tell), message.headers, message.body)

    broker.subscriber(what.subject, queue=queue, max_workers=CONCURRENT_MAX, ack_policy=AckPolicy.MANUAL)(
        answer
    )


async def follow(
    bus: Bus, what: CallWithSteps[RequestT, AnswerT, StepT], request: RequestT, on_step: Tell[StepT]
) -> AnswerT:
    """As `call`; `on_step` gets each step as it is told."""
    with span(f"call {what.name}", kind=SpanKind.CLIENT):
        inbox = bus.client.new_inbox()
        received = await bus.client.subscribe(inbox)
        try:
            async with asyncio.timeout(what.timeout_s):
                headers = with_trace({STEPS: "1"})
                await bus.client.publish(what.subject, encode(request), reply=inbox, headers=headers)
                while True:
                    message = await received.next_msg(timeout=what.timeout_s)
                    if (message.headers or {}).get("Status") == "503":
                        raise Unavailable(what.nobody, "nobody answers at the moment; try again")
                    body = from_json(message.data)
                    if "failure" in body:
                        raise failures.from_dict(body["failure"])
                    if "ok" in body:
                        return what.answer.model_validate(body["ok"])
                    await on_step(what.step.model_validate(body["step"]))
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("service.unavailable", f"{what.name} did not answer; try again") from error
        finally:
            with contextlib.suppress(nats.errors.Error):  # a closed connection has no subscriptions
                await received.unsubscribe()
