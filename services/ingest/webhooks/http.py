"""HTTP to a tenant's address: over connections to addresses that were checked, and to no other.

httpcore's pool does no redirects, cookies or proxies. It is told plain http for https, too: TLS is made here, where
the name is resolved, its addresses are checked and one of them is connected to (no second look-up in between).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpcore

from contracts.failures import Failure, Refused, Unavailable
from contracts.webhook_deliveries import ANSWER_BYTES_SHOWN, Outcome, Step
from services.ingest import tls_failures
from services.ingest.network import Network

TLS_S = 5.0
IDLE_S = 3.0  # an idle connection is closed before servers do (5 s is usual)
CONNECTIONS_MAX = 8  # of a webhook
ANSWER_BYTES_MAX = 64 * 1024  # of an answer that is read; nobody looks at more than the first KiB
PORTS = {"http": 80, "https": 443}
_at: ContextVar[Step] = ContextVar("step", default="http")  # where a call is, told when its time is over
_CODES = {"broker.unreachable": "webhook.unreachable", "broker.timeout": "webhook.timeout"}


class Sent(NamedTuple):
    """What came of an attempt. `step` is where it failed."""

    outcome: Outcome
    step: Step | None = None
    answer: bytes = b""
    retry_after: str | None = None


class Failed(Exception):
    """Before HTTP."""

    def __init__(self, step: Step, code: str, detail: str) -> None:
        super().__init__(detail)
        self.step, self.code, self.detail = step, code, detail


class Stream(httpcore.AsyncNetworkStream):
    """asyncio's streams, as httpcore takes them; time is bounded around the whole call."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        try:
            return await self._reader.read(max_bytes)
        except (OSError, ssl.SSLError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except (OSError, ssl.SSLError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._writer.transport.abort()  # nobody waits for a receiver's goodbye

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # httpcore asks it of an idle connection: has the server closed it?
            return self._reader.at_eof()
        return None


class Backend(httpcore.AsyncNetworkBackend):
    """Connects for one scheme."""

    def __init__(self, network: Network, context: ssl.SSLContext | None) -> None:
        self._network, self._context = network, context

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        del timeout, local_address, socket_options
        _at.set("dns")
        addresses = await resolved(self._network, host, port, secure=self._context is not None)
        _at.set("tcp")
        try:
            connection = await self._network.connect(addresses, port)
        except Failure as failure:
            raise _failed("tcp", failure) from failure
        _at.set("tls" if self._context is not None else "http")
        try:
            async with asyncio.timeout(TLS_S):
                name = host if self._context is not None else None
                streams = await asyncio.open_connection(
                    sock=connection, ssl=self._context, server_hostname=name
                )
        except ssl.SSLError as error:
            said = tls_failures.explained(error, showed_certificate=False, established=False)
            raise _failed("tls", said) from error
        except TimeoutError as error:
            detail = f"no answer to the TLS greeting within {TLS_S:g} s"
            raise Failed("tls", "webhook.timeout", detail) from error
        except OSError as error:
            raise Failed(
                "tls", "tls.closed", "the peer hung up in the middle of the TLS handshake"
            ) from error
        finally:
            if connection.fileno() >= 0 and "streams" not in locals():
                connection.close()
        _at.set("http")
        return Stream(*streams)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def resolved(network: Network, host: str, port: int, *, secure: bool) -> list[str]:
    """Addresses that may be called. Raises Failed."""
    try:
        addresses = await network.resolve(host, port)
    except Failure as failure:
        raise _failed("dns", failure) from failure
    try:
        network.check(host, addresses)
    except Refused as refused:
        raise Failed("address", refused.code, refused.detail) from refused
    if not secure and not network.operators_own(addresses):
        detail = "http:// is for networks that the operator allows; everywhere else use https://"
        raise Failed("address", "webhook.insecure", detail)
    return addresses


def _failed(step: Step, failure: Failure) -> Failed:
    return Failed(step, _CODES.get(failure.code, failure.code), failure.detail)


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
        _at.set("http")
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
            step = _at.get()
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
