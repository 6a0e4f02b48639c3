"""Connections of httpcore to addresses that were checked; TLS is made here, with the name that was asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore

from contracts.failures import Failure, Refused
from contracts.webhook_deliveries import Step
from services.ingest import tls_failures
from services.ingest.network import Network

TLS_S = 5.0
_CODES = {"broker.unreachable": "webhook.unreachable", "broker.timeout": "webhook.timeout"}
step_now: ContextVar[Step] = ContextVar("step", default="http")
"""Where a call is, told when its time is over."""


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
        step_now.set("dns")
        addresses = await resolved(self._network, host, port, secure=self._context is not None)
        step_now.set("tcp")
        try:
            connection = await self._network.connect(addresses, port)
        except Failure as failure:
            raise _failed("tcp", failure) from failure
        step_now.set("tls" if self._context is not None else "http")
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
        step_now.set("http")
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
