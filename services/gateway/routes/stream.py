"""What happens, as it happens: server-sent events, or a WebSocket by an upgrade of the same call."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import ASGIApp

from services.gateway.live import position
from services.gateway.live.logs import KINDS
from services.gateway.live.reader import Reader
from services.gateway.live.selection import selection
from services.gateway.parameters import Caller, Text, Texts, texts
from services.gateway.state import Backend

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]
Kinds = Annotated[
    list[str] | None,
    QueryParameter(
        description=f"Of {', '.join(KINDS)}; given several times: each of them. `messages` where none"
    ),
]
Topics = Annotated[
    list[str] | None,
    QueryParameter(
        description="MQTT topic filter, with the organization's prefix or without; several times: any of them"
    ),
]


@get(
    "/v1/stream",
    media_type="text/event-stream",
    opt={"answer": "text/event-stream", "failures": ("limit.reached", "log.unavailable", "cursor.invalid")},
)
async def stream(
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    kind: Kinds = None,
    device_id: Texts = None,
    metric: Texts = None,
    topic: Topics = None,
    integration_id: Texts = None,
    last_event_id: Text = None,
    last_event_id_header: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", description="Resume behind this event")
    ] = None,
) -> ASGIApp:
    """Stream what happens, as it happens: messages, readings, presence, activity, alerts.

    Server-sent events; with `Upgrade: websocket` the same as messages of a WebSocket, `{"id", "event", "data"}`.
    The id is the message's sequence, or the place in several logs where several kinds are asked for.

    `Last-Event-ID` (or `last_event_id`) resumes without a gap, at any replica; where a log no longer holds what
    follows, an event `gap` says so. A stream ends after some minutes, with an event `end`: clients resume by
    themselves."""
    wanted = selection(
        **texts(kinds=kind, device_id=device_id, metric=metric, topic=topic, integration_id=integration_id)
    )
    after = position.read(last_event_id_header or last_event_id, wanted.logs)
    reader = Reader(caller, request.user, wanted, after)
    gateway.live.admit(reader)
    try:
        gaps = await gateway.live.start(reader)
    except BaseException:
        gateway.live.leave(reader)
        raise

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            if scope.get("head"):
                await send({"type": "http.response.body", "body": b""})
            else:
                await gateway.live.serve(reader, gaps, scope, receive, send)
        finally:
            gateway.live.leave(reader)

    return answer


ROUTES = [stream]
