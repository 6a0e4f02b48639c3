"""From a host's name to a connected socket: resolve once, check every address, connect to a checked one."""

from __future__ import annotations

import asyncio
import os
import socket

from contracts.failures import Refused, Unavailable
from services.ingest.policy import first_forbidden

RESOLVE_S = 4.0
CONNECT_S = 5.0


async def resolve(host: str, port: int) -> list[str]:
    """Every address of the name. Raises Unavailable("broker.unreachable") where there is none."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise Unavailable(
            "broker.unreachable", f"the name {host} was not resolved in {RESOLVE_S:g} s"
        ) from error
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            "broker.unreachable", f"the name {host} cannot be resolved: {_words(error)}"
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check(host: str, addresses: list[str], *, allow_private: bool) -> None:
    """Raises Refused("address.forbidden")."""
    if not allow_private and (found := first_forbidden(addresses)) is not None:
        address, why = found
        raise Refused("address.forbidden", f"{host} is {address}, {why}", field="settings.host")


async def connect(addresses: list[str], port: int) -> socket.socket:
    """A connected socket to the first address that takes it, in the resolver's order.

    Raises Unavailable("broker.unreachable") with what the last one said.
    """
    reason = "it has no address"
    try:
        async with asyncio.timeout(CONNECT_S):
            for address in addresses:
                try:
                    return await _connect(address, port)
                except OSError as error:
                    reason = f"{address} port {port}: {_words(error)}"
    except TimeoutError:
        reason = f"port {port} did not answer in {CONNECT_S:g} s"
    raise Unavailable("broker.unreachable", reason)


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # an event loop's own text names the call, not the reason
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
