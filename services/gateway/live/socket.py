"""The sockets below the HTTP server, for what many readers get alike.

An event for a hundred readers is the same bytes a hundred times; handed through ASGI and h11 each costs several
times what writing it does (decision 26). Requests, answers' heads, their ends and closing stay the server's.
The only place that knows how uvicorn's protocols are made; its version is pinned in pyproject.toml.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "hybridmq.socket"


class Socket:
    """What an answer under way is written to, in whole chunks or frames."""

    def __init__(self, transport: asyncio.Transport, drain: Callable[[], Awaitable[Any]]) -> None:
        self._transport, self._drain = transport, drain

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Returns when little of what was written waits."""
        await self._drain()

    @property
    def waiting_bytes(self) -> int:
        """Written, and not taken by the operating system."""
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Closes without sending what waits."""
        self._transport.abort()


def of(scope: MutableMapping[str, Any]) -> Socket:
    found: Socket = scope["extensions"][EXTENSION]
    return found


def _with_socket(app: Any, socket: Callable[[], Socket]) -> Any:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("extensions", {})[EXTENSION] = socket()
        await app(scope, receive, send)

    return called


class HttpProtocol(H11Protocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = _with_socket(self.app, lambda: Socket(self.transport, self.flow.drain))


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = _with_socket(self.app, lambda: Socket(self.transport, self.writable.wait))
