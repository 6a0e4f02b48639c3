"""From a host's name to a connected socket: resolve once, check every address, connect to a checked one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from contracts.failures import Refused, Unavailable
from services.ingest.policy import Policy

RESOLVE_S = 4.0
CONNECT_S = 5.0
ADDRESSES_MAX = 16  # of one name that are checked and tried; brokers have a handful

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Every address of a name, in the order of preference; raises OSError or UnicodeError where there is none."""


async def system_resolver(host: str, port: int) -> list[str]:
    """As this machine resolves names, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Network:
    """What brokers are reached through. Every connection resolves anew, and is checked anew."""

    def __init__(self, policy: Policy, resolver: Resolver = system_resolver) -> None:
        self._policy, self._resolver = policy, resolver

    async def resolve(self, host: str, port: int) -> list[str]:
        """Every address of the name. Raises Unavailable("broker.unreachable") where there is none."""
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await self._resolver(host, port)
        except TimeoutError as error:
            raise Unavailable(
                "broker.unreachable", f"the name {host} was not resolved in {RESOLVE_S:g} s"
            ) from error
        except (OSError, UnicodeError) as error:
            raise Unavailable(
                "broker.unreachable", f"the name {host} cannot be resolved: {_words(error)}"
            ) from error
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]

    def check(self, host: str, addresses: list[str]) -> None:
        """Raises Refused("address.forbidden") where one of them may not be connected to."""
        if (found := self._policy.first_forbidden(addresses)) is not None:
            address, why = found
            what = "it" if address == host else f"{host} is {address}, which"
            raise Refused("address.forbidden", f"{what} is {why}", field="settings.host")

    def operators_own(self, addresses: list[str]) -> bool:
        """Whether all lie in networks that the operator allows beside the public internet."""
        return self._policy.operators_own(addresses)

    async def connect(self, addresses: list[str], port: int) -> socket.socket:
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

    async def reach(self, host: str, port: int) -> socket.socket:
        """All three."""
        addresses = await self.resolve(host, port)
        self.check(host, addresses)
        return await self.connect(addresses, port)


async def _connect(address: str, port: int) -> socket.socket:
    bare, _, zone = address.partition("%")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Numbers only: nothing is resolved again between the check and the connect.
        where = (bare, port, 0, socket.if_nametoindex(zone)) if zone else (bare, port)
        await asyncio.get_running_loop().sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # an event loop's own text names the call, not the reason
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
