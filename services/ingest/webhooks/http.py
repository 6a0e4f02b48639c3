"""HTTP to a tenant's address: over connections to addresses that were checked, and to no other.

httpcore's pool does no redirects, cookies or proxies. It is told plain http for https, too: TLS is made here, where
the name is resolved, its addresses are checked and one of them is connected to (no second look-up in between).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpcore

from contracts.failures import Refused, Unavailable
from contracts.webhook_deliveries import ANSWER_BYTES_SHOWN, Outcome, Step
from services.ingest.network import Network
from services.ingest.webhooks.connections import Backend, Failed, resolved, step_now

IDLE_S = 3.0  # an idle connection is closed before servers do (5 s is usual)
CONNECTIONS_MAX = 8  # of a webhook
ANSWER_BYTES_MAX = 64 * 1024  # of an answer that is read; nobody looks at more than the first KiB
PORTS = {"http": 80, "https": 443}


class Sent(NamedTuple):
    """What came of an attempt. `step` is where it failed."""

    outcome: Outcome
    step: Step | None = None
    answer: bytes = b""
    retry_after: str | None = None


class Caller:
    """Calls of one webhook, over up to CONNECTIONS_MAX connections that it keeps for a moment."""

    def __init__(self, client: Client, url: str) -> None:
        parts = urlsplit(url)
        self.url, self._secure = url, parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        default = self._port == PORTS[parts.scheme]
        name = f"[{self._host}]" if ":" in self._host else self._host
        self._host_header = name if default else f"{name}:{self._port}"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = client.timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=IDLE_S,
            network_backend=Backend(client.network, client.context if self._secure else None),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def send(self, headers: Mapping[str, str], body: bytes) -> Sent:
        """One attempt, within the time for it. Never raises for what the receiver does."""
        at, begun = datetime.now(UTC), time.monotonic()
        status: int | None = None
        step: Step = "http"
        step_now.set("http")
        answer, retry_after = b"", None
        code: str | None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, given, answer = await self._exchange(headers, body)
                retry_after = given.get("retry-after")
                code, detail = judged(status)
        except Failed as failed:
            step, code, detail = failed.step, failed.code, failed.detail
        except TimeoutError:
            step = step_now.get()
            code, detail = "webhook.timeout", f"no answer within {self._timeout_s:g} s"
        except (httpcore.RemoteProtocolError, httpcore.LocalProtocolError) as error:
            code, detail = "webhook.not_http", str(error)[:200] or "the connection ended without an answer"
        except (httpcore.NetworkError, OSError) as error:
            code, detail = "webhook.unreachable", str(error)[:200] or "the connection broke"
        duration_ms = round((time.monotonic() - begun) * 1000, 1)
        outcome = Outcome(at=at, duration_ms=duration_ms, status=status, code=code, detail=detail)
        return Sent(outcome, step if code is not None else None, answer, retry_after)

    async def _exchange(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A connection that the server closed while it was idle is no failure: once more over a new one."""
        had_idle = any(each.is_idle() for each in self._pool.connections)
        try:
            return await self._request(headers, body)
        except (httpcore.RemoteProtocolError, httpcore.NetworkError):
            if not had_idle:
                raise
        return await self._request(headers, body)

    async def _request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        url = httpcore.URL(
            scheme=b"http", host=self._host.encode(), port=self._port, target=self._target.encode()
        )
        lines = {"host": self._host_header, **headers, "content-length": str(len(body))}
        async with self._pool.stream("POST", url, headers=list(lines.items()), content=body) as response:
            answer = b""
            async for chunk in response.aiter_stream():
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    break
            given = {
                name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers
            }
            return response.status, given, answer[:ANSWER_BYTES_SHOWN]


class Client:
    """What all callers share: the network with its policy, whom TLS trusts, the time that a call may take."""

    def __init__(self, network: Network, timeout_s: float, authorities: Path | None = None) -> None:
        self.network, self.timeout_s = network, timeout_s
        self.context = ssl.create_default_context()
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        if authorities is not None:
            self.context.load_verify_locations(cafile=authorities)

    async def check(self, url: str) -> None:
        """Raises Refused where the address may not be called, Unavailable where its name is not there."""
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        try:
            await resolved(self.network, parts.hostname or "", port, secure=parts.scheme == "https")
        except Failed as failed:
            if failed.step == "dns":
                raise Unavailable(failed.code, failed.detail) from failed
            raise Refused(failed.code, failed.detail, field="url") from failed


def judged(status: int) -> tuple[str | None, str]:
    """The failure code of an HTTP status, None for 2xx, and words."""
    if 200 <= status < 300:
        return None, ""
    if 300 <= status < 400:
        return "webhook.redirected", f"HTTP {status}: redirects are not followed; change the address"
    return "webhook.gone" if status == 410 else "webhook.refused", f"HTTP {status}"
