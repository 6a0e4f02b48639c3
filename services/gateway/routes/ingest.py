"""HTTP ingest: a message, a batch, or lines without end, into the log; answered once the log has them."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.params import RawBody
from litestar.types import ASGIApp
from pydantic import BaseModel

from contracts.failures import Refused
from contracts.organizations import Principal
from services.gateway.bodies import JSON, NDJSON
from services.gateway.compressed import plain
from services.gateway.ingest_body import IngestMessage, lines, members
from services.gateway.ingest_stream import Conversation
from services.gateway.parameters import Caller, CommandId, Text
from services.gateway.problems import FieldError, Invalid
from services.gateway.sending import Accepted, LineResult, Sender
from services.gateway.settings import LINES_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway

_FAILURES = (
    "topic.invalid",
    "topic.forbidden",
    "payload.too_large",
    "limit.reached",
    "log.unavailable",
    "idempotency.reused",
)
_LINES = {
    NDJSON: '{"topic": "devices/d1/telemetry", "payload": {"temperature": 21.5}, "id": "d1-000123"}\n'
    '{"topic": "devices/d1/telemetry", "payload": {"temperature": 21.6}, "id": "d1-000124"}\n'
}
_ANSWER = """\
{"line":1,"sequence":48211,"duplicate":false}
{"line":2,"error":{"code":"topic.invalid","status":422,"detail":"…"}}
{"summary":{"lines":2,"accepted":1,"refused":1,"unavailable":0}}
"""


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
        "gzip": True,
        "body": IngestMessage,
        "answers": {202: (Accepted, AcceptedLines), 207: (AcceptedLines,)},
        "failures": _FAILURES,
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

    202 means that the log has them. A JSON array or NDJSON takes up to 1,000 messages, each with its own
    result: 207 where some were refused, 422 where all were. A message with an `id` that was stored within the
    last two minutes is not stored again; nor is a request with the same Idempotency-Key, which another body cannot
    have in that time (422 `idempotency.reused`). The body may be compressed (`Content-Encoding: gzip`).
    """
    sender = _sender(gateway, caller, request, command_id)
    sent = plain(body, _encoding(request), LINES_BODY_BYTES_MAX)
    many = request.content_type[0].lower() == NDJSON
    if many or sent.lstrip()[:1] == b"[":
        results = await sender.lines(lines(sent) if many else members(sent))
        refused = sum(result.error is not None for result in results)
        answer = AcceptedLines(accepted=len(results) - refused, refused=refused, results=results)
        return Response(answer, status_code=207 if refused else 202)
    if len(sent) > MESSAGE_BODY_BYTES_MAX:
        raise Refused("request.too_large", f"a message's body has at most {MESSAGE_BODY_BYTES_MAX} bytes")
    return Response(await sender.one(sent))


@post(
    "/v1/ingest/stream",
    status_code=200,
    opt={
        "media_types": (NDJSON,),
        "gzip": True,
        "lines": _LINES,
        "answer": NDJSON,
        "answer_words": "A result for each line once the log has it, in order; a summary at the end",
        "answer_example": _ANSWER,
        "failures": ("limit.reached",),
    },
)
async def ingest_stream(
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    command_id: CommandId,
    results: Text = None,
) -> ASGIApp:
    """Send messages without end: NDJSON in, a line out for each line, while both go on.

    Read the answer while you send: who does not is held back, and cut off after 20 s. `results=refused` leaves out
    the lines that were stored. A line that the log did not take says log.unavailable and ends the answer: send it
    and what follows again; with an `id` each, nothing is stored twice within two minutes.
    """
    if results not in (None, "all", "refused"):
        raise Invalid([FieldError(field="results", detail="it is `all` or `refused`")])
    gateway.ingests.admit(caller.organization)
    answer: Any = Conversation(  # an ASGI application, in wider types than Litestar's
        _sender(gateway, caller, request, command_id),
        gateway,
        caller.organization,
        gzip=_encoding(request) == "gzip",
        refused_only=results == "refused",
    )
    return answer  # type: ignore[no-any-return]


def _sender(
    gateway: Gateway, caller: Principal, request: Request[Any, Any, Any], command: str | None
) -> Sender:
    request.scope["rate_limit"] = lambda: gateway.metering.headers(caller)  # type: ignore[typeddict-unknown-key]
    return Sender(gateway, caller, is_device=request.user.username is not None, command=command)


def _encoding(request: Request[Any, Any, Any]) -> str:
    return request.headers.get("content-encoding", "identity").lower()


ROUTES = [ingest, ingest_stream]
