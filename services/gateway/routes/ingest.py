"""HTTP ingest: a message, or many as NDJSON, into the log; answered once the log has them."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, post
from litestar.params import RawBody
from pydantic import BaseModel
from uuid_utils import uuid7

from contracts import messages, subjects
from contracts.failures import Failure, Refused, Unavailable
from contracts.organizations import Principal
from contracts.topics import device_of
from runtime.log_writer import MESSAGE_ID, Stored
from runtime.observe import traceparent
from services.gateway.bodies import JSON, NDJSON
from services.gateway.ingest_body import IngestMessage, Message, lines, read
from services.gateway.parameters import Caller, CommandId
from services.gateway.problems import FieldError, Invalid, Problem, problem
from services.gateway.settings import LINES_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway


class Accepted(BaseModel):
    """In the log, at `sequence`; `duplicate`: it was there already, by its Idempotency-Key."""

    sequence: int
    duplicate: bool = False


class LineResult(BaseModel):
    """What became of a line: stored at `sequence`, or refused by `error`."""

    line: int
    sequence: int | None = None
    duplicate: bool = False
    error: Problem | None = None


class AcceptedLines(BaseModel):
    accepted: int
    refused: int
    results: list[LineResult]


@post(
    "/v1/ingest",
    status_code=202,
    request_max_body_size=LINES_BODY_BYTES_MAX,
    opt={
        "media_types": (JSON, NDJSON),
        "body": IngestMessage,
        "answers": {202: (Accepted, AcceptedLines), 207: (AcceptedLines,)},
        "failures": (
            "topic.invalid",
            "topic.forbidden",
            "payload.too_large",
            "limit.reached",
            "log.unavailable",
        ),
    },
)
async def ingest(
    body: RawBody,
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    command_id: CommandId,
) -> Response[Accepted | AcceptedLines]:
    """Send messages without MQTT: with an API key, or with a device credential by Basic.

    202 means that the log has them. NDJSON takes up to 1,000 messages, one per line, each with its own
    result: 207 where some were refused, 422 where all were.
    """
    sender = Sender(gateway, caller, request.user.username is not None, command_id)
    if request.content_type[0].lower() == NDJSON:
        results = await sender.lines(body)
        refused = sum(result.error is not None for result in results)
        answer = AcceptedLines(accepted=len(results) - refused, refused=refused, results=results)
        return Response(answer, status_code=207 if refused else 202)
    if len(body) > MESSAGE_BODY_BYTES_MAX:
        raise Refused("request.too_large", f"a message's body has at most {MESSAGE_BODY_BYTES_MAX} bytes")
    stored = await sender.one(body)
    return Response(Accepted(sequence=stored.sequence, duplicate=stored.duplicate))


class Sender:
    """Writes one request's messages."""

    def __init__(self, gateway: Gateway, caller: Principal, is_device: bool, command: str | None) -> None:
        self._gateway, self._caller, self._is_device, self._command = gateway, caller, is_device, command

    async def one(self, body: bytes) -> Stored:
        return (await self._stored([self._write(self._read(body), 1)]))[0]

    async def lines(self, body: bytes) -> list[LineResult]:
        """Raises Invalid when no line at all can be taken, Unavailable when the log takes none."""
        results: list[LineResult] = []
        waiting: list[tuple[LineResult, asyncio.Future[Stored]]] = []
        for number, line in lines(body):
            result = LineResult(line=number)
            results.append(result)
            try:
                message = self._read(line)
            except Refused as refused:
                result.error = Problem.model_validate(problem(refused))
            else:
                waiting.append((result, self._write(message, number)))
        if not waiting:
            raise Invalid([error for result in results for error in _errors(result)], code=_code(results))
        stored = await self._stored([future for _, future in waiting])
        for (result, _), (sequence, duplicate) in zip(waiting, stored, strict=True):
            result.sequence, result.duplicate = sequence, duplicate
        return results

    def _read(self, body: bytes) -> Message:
        """Refused also where it is over a limit."""
        message = read(body, self._caller, is_device=self._is_device)
        self._gateway.metering.take(self._caller, len(message.payload))
        return message

    def _write(self, message: Message, line: int) -> asyncio.Future[Stored]:
        organization = self._caller.organization
        id = str(uuid7())
        headers = messages.headers(
            id=id,
            topic=message.topic,
            qos=message.qos,
            retain=False,
            received=datetime.now(UTC),
            source=subjects.HTTP,
            traceparent=traceparent(),
        )
        headers[MESSAGE_ID] = self._message_id(message, line) if self._command else id
        subject = subjects.message(organization, subjects.HTTP, device_of(message.topic))
        return self._gateway.writer.write(subject, headers, message.payload)

    def _message_id(self, message: Message, line: int) -> str:
        """The same request again is recognised; other content is another message, never swallowed."""
        content = f"{self._command}\n{line}\n{message.topic}\n".encode() + message.payload
        return hashlib.sha256(content).hexdigest()

    async def _stored(self, written: list[asyncio.Future[Stored]]) -> list[Stored]:
        """All of them; Unavailable when one is not known to be stored: it is to be sent again."""
        done, late = await asyncio.wait(written, timeout=self._gateway.settings.ingest_timeout_s)
        for future in late:
            future.cancel()  # what still waits in the queue is not written any more
        failed = [error for future in done if (error := future.exception()) is not None]
        if late or failed:
            if failed and isinstance(failed[0], Failure):
                raise failed[0]
            raise Unavailable("log.unavailable", "the log did not answer in time; send it again")
        return [future.result() for future in written]


def _errors(result: LineResult) -> list[FieldError]:
    """A line's faults, with its number in front of the field."""
    assert result.error is not None
    found = result.error.errors or [FieldError(field="", detail=result.error.detail)]
    return [
        FieldError(field=f"line {result.line}" + (f".{each.field}" if each.field else ""), detail=each.detail)
        for each in found
    ]


def _code(results: list[LineResult]) -> str:
    """The lines' common code, where they have one."""
    codes = {result.error.code for result in results if result.error}
    return codes.pop() if len(codes) == 1 else "request.invalid"


ROUTES = [ingest]
