"""`/healthz` (the process lives), `/readyz` (it can do its work now, and if not, why), `/metrics` (Prometheus)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from opentelemetry.metrics import CallbackOptions, Observation

from runtime.exposition import exposition
from runtime.observe import meter

Check = Callable[[], str | None]
"""None when all is well, else what is missing, in words."""
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Health:
    """Named checks; ready when all of them are content."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        meter.create_observable_gauge(
            "hybridmq.health.check",
            callbacks=[self._observe],
            description="What readiness asks: 1 where all is well, 0 where not",
        )

    def _observe(self, _: CallbackOptions) -> list[Observation]:
        missing = self.missing()
        return [Observation(int(name not in missing), {"check": name}) for name in self._checks]

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def missing(self) -> dict[str, str]:
        return {name: why for name, check in self._checks.items() if (why := check()) is not None}

    def answer(self, path: str, accept: str = "") -> tuple[int, str, bytes] | None:
        """Status, content type and body, or None for a path that is not ours; `accept` is the header."""
        if path == "/healthz":
            return 200, "application/json", b'{"status":"ok"}'
        if path == "/readyz":
            missing = self.missing()
            body = {"status": "not ready" if missing else "ready", "missing": missing}
            return 503 if missing else 200, "application/json", json.dumps(body).encode()
        if path == "/metrics":
            return 200, *exposition(accept)
        return None

    async def __call__(self, scope: dict[str, Any], _receive: Receive, send: Send) -> None:
        """An ASGI app for services that have no other HTTP listener."""
        if scope["type"] != "http":
            return
        accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
        status, content_type, body = self.answer(scope["path"], accept) or (404, "text/plain", b"not found")
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def server(health: Health, host: str, port: int) -> uvicorn.Server:
    """A listener for these answers; its signals are the service's own business."""
    config = uvicorn.Config(
        health, host=host, port=port, log_level="warning", lifespan="off", access_log=False
    )
    return uvicorn.Server(config)
