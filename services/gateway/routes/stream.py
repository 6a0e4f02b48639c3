"""Messages as they come."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import HeaderParameter
from litestar.types import ASGIApp

from services.gateway.live import Reader
from services.gateway.parameters import Caller, Text
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

SEQUENCE_DIGITS_MAX = 18
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


@get(
    "/v1/stream",
    media_type="text/event-stream",
    opt={"answer": "text/event-stream", "failures": ("limit.reached", "log.unavailable")},
)
async def stream(
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    device_id: Text = None,
    last_event_id: Text = None,
    last_event_id_header: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", description="Resume behind this event")
    ] = None,
) -> ASGIApp:
    """Stream messages as they come. Server-sent events; the id is the message's sequence.

    `Last-Event-ID` (or `last_event_id`) resumes without a gap; where the log no longer holds what follows,
    an event `gap` says so. A stream ends after some minutes: clients resume by themselves.
    """
    after = _sequence(last_event_id_header or last_event_id)
    reader = Reader(caller, request.user, after, device_id)
    gateway.live.admit(reader)
    try:
        start, gap = await gateway.live.start(reader)
    except BaseException:
        gateway.live.leave(reader)
        raise

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            if scope.get("head"):
                await send({"type": "http.response.body", "body": b""})
            else:
                await gateway.live.run(reader, start, gap, receive, send)
        finally:
            gateway.live.leave(reader)

    return answer


def _sequence(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > SEQUENCE_DIGITS_MAX:
        raise Invalid(
            [FieldError(field="Last-Event-ID", detail="it is the `id` of an event: a whole number")]
        )
    return int(text)


ROUTES = [stream]
