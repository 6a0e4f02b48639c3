"""Around the application: a span, a metric and a log line per request, limits, security headers, HEAD."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry.trace import Span, SpanKind
from pydantic_core import to_json

from contracts.device_commands import WAIT_S_MAX
from contracts.envelope import TRACEPARENT
from contracts.failures import Failure, Refused, Unavailable
from runtime.observe import duration, log, mark_failed, span, traceparent
from services.gateway import path_segments, problems
from services.gateway.access import template
from services.gateway.handshake import as_get
from services.gateway.settings import EXPORT_LASTS_S, HEADERS_BYTES_MAX

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STREAM = "/v1/stream"
# These answer as they go; an ingest stream has time-outs of its own for each read and each write.
LASTING_S = {
    "/v1/credentials/bulk": 300.0,
    "/v1/ingest/stream": 24 * 3600.0,
    "/v1/telemetry/export": EXPORT_LASTS_S,
    "/v1/activity/export": EXPORT_LASTS_S,
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = log(part="access")
_duration = duration("http.server.request.duration", "Time to answer an HTTP request")
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# A document that is no page runs nothing and shows nothing.
_CSP = b"default-src 'none'; frame-ancestors 'none'"


class Edge:
    """The outermost ASGI application."""

    def __init__(self, app: App, *, requests_max: int, timeout_s: float) -> None:
        self._app = app
        self._requests_max = requests_max
        self._timeout_s = timeout_s
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope, receive, send = as_get(scope, receive, send)
        elif scope["type"] != "http":
            return
        path_segments.keep_together(scope)
        exchange = _Exchange(scope, send)
        headers = {TRACEPARENT: value} if (value := _header(scope, b"traceparent")) else None
        with span(scope["method"], parent=headers, kind=SpanKind.SERVER) as current:
            try:
                await self._handle(scope, receive, exchange)
            finally:
                exchange.report(current)

    async def _handle(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        if scope.get("websocket") and scope["path"] != STREAM:
            await exchange.refuse(Refused("route.unknown", f"the only WebSocket is {STREAM}"))
            return
        if scope["path"] == STREAM:
            await self._app(scope, receive, exchange.send)  # has limits of its own
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES_MAX:
            await exchange.refuse(
                Refused("request.too_large", f"headers have at most {HEADERS_BYTES_MAX} bytes")
            )
            return
        if self._under_way >= self._requests_max:
            await exchange.refuse(
                Unavailable("service.unavailable", "too many requests are under way; try again")
            )
            return
        self._under_way += 1
        try:
            async with asyncio.timeout(self._lasts_s(scope["path"])):
                await self._app(scope, receive, exchange.send)
        except TimeoutError:
            if exchange.status is not None:
                raise
            await exchange.refuse(Unavailable("service.unavailable", "this took too long; try again"))
        finally:
            self._under_way -= 1

    def _lasts_s(self, path: str) -> float:
        if path.startswith("/v1/devices/") and path.endswith("/commands"):
            return self._timeout_s + WAIT_S_MAX  # for a device's answer
        return LASTING_S.get(path, self._timeout_s)


class _Exchange:
    """One request and its answer, as it passes."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.status: int | None = None
        self._send = send
        self._began = time.perf_counter()
        self._method: str = scope["method"]
        self._head = self._method == "HEAD"
        if self._head:
            scope["method"] = "GET"  # the same answer, without its body
            scope["head"] = True

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *self._headers(message.get("headers", []))]
        elif self._head and message.get("body"):
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, present: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in present}
        added = list(_SECURITY)
        if b"content-security-policy" not in names:
            added.append((b"content-security-policy", _CSP))
        if b"cache-control" not in names:
            added.append((b"cache-control", b"no-store"))
        if rate_limit := self.scope.get("rate_limit"):
            added += [(name.encode(), value.encode()) for name, value in rate_limit().items()]
        if parent := traceparent():
            added.append((b"traceresponse", parent.encode()))
        return added

    async def refuse(self, failure: Failure) -> None:
        body = to_json(problems.problem(failure))
        headers = {
            **problems.headers(failure),
            "content-type": problems.MEDIA_TYPE,
            "content-length": str(len(body)),
        }
        await self.send(
            {
                "type": "http.response.start",
                "status": failure.meaning.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self.send({"type": "http.response.body", "body": body})

    def report(self, current: Span) -> None:
        """Named by the route's template: paths and query values are the tenants' own business."""
        took_s = time.perf_counter() - self._began
        path = self.scope.get("path_template")
        route = template(path) if path and self.scope.get("route_handler") else "unknown"
        method = self._method if self._method in _METHODS else "_OTHER"
        status = self.status or 499  # the client left before an answer
        current.update_name(f"{method} {route}")
        current.set_attributes(
            {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        )
        if status >= 500:
            mark_failed(current, str(status))
        _duration.record(
            took_s, {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        )
        principal = self.scope.get("auth")
        _log.info(
            "request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(took_s * 1000, 2),
            organization=getattr(principal, "organization", None),
            actor=getattr(principal, "actor", None),
        )


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found.decode("latin-1")
    return None
