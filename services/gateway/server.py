"""The HTTP listener in the service's own event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from pydantic_core import to_json

from contracts.failures import Refused
from services.gateway import problems
from services.gateway.edge import Edge
from services.gateway.live.socket import HttpProtocol, WebSocketProtocol
from services.gateway.live.streams import Live
from services.gateway.settings import HEADERS_BYTES_MAX, GatewaySettings

IDLE_S = 90  # longer than a proxy keeps what rests (60 s with most): it must not send into a connection that closes
BACKLOG = 1024
WEBSOCKET_BYTES_MAX = 1024  # of a message to us: there are none
PING_S = 20.0  # a WebSocket whose other end is gone without a word is closed after twice this


class ProblemProtocol(HttpProtocol):
    """What is no HTTP gets a problem document, too."""

    def send_400_response(self, msg: str) -> None:
        body = to_json(problems.problem(Refused("request.malformed", msg)))
        headers = [
            ("content-type", problems.MEDIA_TYPE),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()


def _server(app: Edge, settings: GatewaySettings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        http=ProblemProtocol,
        ws=WebSocketProtocol,
        ws_max_size=WEBSOCKET_BYTES_MAX,
        ws_per_message_deflate=False,  # for each reader anew: memory, and the CPU of what is else written once
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=int(settings.stop_grace_s),
        h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
        backlog=BACKLOG,
    )
    return uvicorn.Server(config)


class Listener:
    """`run` is a task of the service: cancelled, it ends the streams, lets requests finish and stops."""

    def __init__(self, app: Edge, live: Live, settings: GatewaySettings) -> None:
        self._server = _server(app, settings)
        self._live = live

    @property
    def missing(self) -> str | None:
        """For readiness."""
        return None if self._server.started and not self._server.should_exit else "not listening"

    async def run(self) -> None:
        # `serve` would take the signals: they are the service's
        serving: asyncio.Task[Any] = asyncio.create_task(self._server._serve(), name="http server")  # noqa: SLF001
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._live.stop()
            self._server.should_exit = True
            await serving
            raise
