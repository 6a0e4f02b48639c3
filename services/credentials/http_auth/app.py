"""The listener: token first, then bounds, then the broker's own form."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from pydantic_core import to_json

from contracts.failures import Failure, Refused
from runtime.observe import meter
from services.credentials.http_auth.emqx import emqx
from services.credentials.http_auth.forms import Answer, Endpoint, Question, fields_of
from services.credentials.http_auth.judge import Judge
from services.credentials.http_auth.mosquitto_go_auth import mosquitto_go_auth
from services.credentials.http_auth.rabbitmq import rabbitmq
from services.credentials.http_auth.vernemq import vernemq

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BROKERS: dict[str, Endpoint] = {
    "emqx": emqx,
    "rabbitmq": rabbitmq,
    "mosquitto-go-auth": mosquitto_go_auth,
    "vernemq": vernemq,
}
# RabbitMQ, mosquitto-go-auth and VerneMQ cannot be told to send a header: there the token may stand in the path.
TOKEN_IN_PATH = frozenset({"rabbitmq", "mosquitto-go-auth", "vernemq"})
BODY_BYTES_MAX = 512 * 1024  # VerneMQ sends the payload along, as base64
REQUEST_S = 5.0
REQUESTS_MAX = 500
HEADERS_BYTES_MAX = 16 * 1024
IDLE_S = 60
_answered = meter.create_counter("hybridmq.http_auth", description="Brokers' questions, by broker and status")


class HttpAuth:
    """An ASGI application."""

    def __init__(self, judge: Judge, token: str) -> None:
        self._judge, self._token = judge, token.encode()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        broker, *rest = scope["path"].strip("/").split("/")
        try:
            async with asyncio.timeout(REQUEST_S):
                answer = await self._answer(broker, rest, scope, receive)
        except Failure as failure:
            answer = Answer(failure.meaning.status, to_json({"code": failure.code, "detail": failure.detail}))
        except TimeoutError:
            answer = Answer(408, to_json({"code": "request.malformed", "detail": "the request does not end"}))
        _answered.add(1, {"broker": broker if broker in BROKERS else "unknown", "status": answer.status})
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, broker: str, rest: list[str], scope: dict[str, Any], receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        rest = self._authorized(broker, rest, headers)
        if broker not in BROKERS or len(rest) > 1:
            raise Refused("route.unknown")
        if scope["method"] != "POST":
            raise Refused("method.not_allowed", "POST: in a URL a password would end in somebody's log")
        fields = fields_of(await _body(receive), headers.get("content-type", ""))
        action = rest[0] if rest else ""
        return await BROKERS[broker](self._judge, Question(action, fields, headers.get("vernemq-hook", "")))

    def _authorized(self, broker: str, rest: list[str], headers: dict[str, str]) -> list[str]:
        """What is left of the path. Before anything else is looked at."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if token:
            if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token):
                return rest
            raise Refused("key.invalid")
        if broker in TOKEN_IN_PATH and rest and hmac.compare_digest(rest[0].encode(), self._token):
            return rest[1:]
        raise Refused("key.missing")


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Refused("request.too_large", f"at most {BODY_BYTES_MAX} bytes")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def listener(app: HttpAuth, host: str, port: int) -> uvicorn.Server:
    """Without an access log: there may be a token in the path."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        limit_concurrency=REQUESTS_MAX,
        timeout_keep_alive=IDLE_S,
        h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
    )
    return uvicorn.Server(config)
