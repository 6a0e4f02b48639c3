"""The port to the hosted broker: what it must be told that the REGISTRY does not say.

Whoever issues a password (issue, rotate, bulk) calls `admit` with it after the event stands in the log, also
when a retried command only repeats its answer; everything else a broker follows from the directory's state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from contracts.credentials import CredentialWithPassword

RequestT = TypeVar("RequestT")


class HostedBroker(Protocol):
    async def admit(self, credential: str, password: str) -> None:
        """Returns when a device may connect with this password; never fails: what must wait is done later."""


class AskingBroker:
    """nats-server: it asks at every connect, so there is no copy to keep."""

    async def admit(self, credential: str, password: str) -> None:
        """Nothing to do."""


def admitting(
    broker: HostedBroker, handler: Callable[[RequestT], Awaitable[CredentialWithPassword]]
) -> Callable[[RequestT], Awaitable[CredentialWithPassword]]:
    """The handler of a command that makes a password; it answers when the password is good."""

    async def handle(request: RequestT) -> CredentialWithPassword:
        answer = await handler(request)
        await broker.admit(answer.id, answer.password)
        return answer

    return handle
