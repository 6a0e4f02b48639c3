"""A WebSocket's handshake is a GET (RFC 6455 §4.1): the same route, guard, checks and problems as for any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def as_get(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """The handshake as a request: an answer 200 accepts it, any other refuses it with its body.

    `scope["websocket"]` tells a handler that may accept. Afterwards it sends frames or `websocket.close`.
    """
    asked = False
    refusing = False

    async def hear() -> MutableMapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            await receive()  # websocket.connect
            return {"type": "http.request", "body": b"", "more_body": False}
        return await receive()

    async def say(message: MutableMapping[str, Any]) -> None:
        nonlocal refusing
        if message["type"] == "http.response.start":
            refusing = message["status"] != 200
            if refusing:
                message = {**message, "type": "websocket.http.response.start"}
            else:
                message = {"type": "websocket.accept", "headers": _fit(message["headers"])}
        elif message["type"] == "http.response.body":
            if not refusing:
                return  # of an answer without frames
            message = {**message, "type": "websocket.http.response.body"}
        await send(message)

    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    asking = {**scope, "type": "http", "method": "GET", "scheme": scheme, "websocket": True}
    return asking, hear, say


def _fit(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that mean something with 101."""
    return [(name, value) for name, value in headers if name not in (b"content-type", b"x-accel-buffering")]
