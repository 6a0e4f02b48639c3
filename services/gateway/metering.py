"""What comes by HTTP, against the limits of who sends it: a message over one is refused."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from contracts.failures import Refused
from contracts.limits import LimitName, Limits
from contracts.organizations import Principal

BURST_S = 5.0  # so much of a second's allowance may come at once: a device that was away sends what it kept
KEPT_MAX = 10_000  # senders remembered; the one that has been silent longest is forgotten


@dataclass(slots=True)
class _Sender:
    messages: float
    bytes: float
    at: float


class Metering:
    """One replica's: each counts what comes to it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._senders: OrderedDict[str, _Sender] = OrderedDict()

    def take(self, caller: Principal, payload_bytes: int) -> None:
        """Counts one message. Raises Refused("limit.reached"), and then counts nothing."""
        held = [
            (scope, id, limits)
            for scope, id, limits in (
                ("organization", caller.organization, caller.limits),
                ("credential", caller.actor, caller.own_limits),
            )
            if limits is not None
        ]
        for scope, _, limits in held:
            if limits.payload_bytes is not None and payload_bytes > limits.payload_bytes:
                raise _reached(scope, "payload_bytes", limits.payload_bytes, payload_bytes)
        now = self._clock()
        senders = [(scope, self._sender(id, limits, now), limits) for scope, id, limits in held]
        for scope, sender, limits in senders:
            for name, left, wanted in (
                ("messages_per_s", sender.messages, 1),
                ("bytes_per_s", sender.bytes, payload_bytes),
            ):
                allowed: int | None = getattr(limits, name)
                if allowed is not None and left < min(wanted, allowed * BURST_S):
                    raise _reached(scope, name, allowed, allowed + wanted - max(0.0, left))  # type: ignore[arg-type]
        for _, sender, _ in senders:
            sender.messages -= 1
            sender.bytes -= payload_bytes

    def _sender(self, id: str, limits: Limits, now: float) -> _Sender:
        messages, size = (limits.messages_per_s or 0), (limits.bytes_per_s or 0)
        sender = self._senders.get(id)
        if sender is None:
            sender = self._senders[id] = _Sender(messages * BURST_S, size * BURST_S, now)
            if len(self._senders) > KEPT_MAX:
                self._senders.popitem(last=False)
        else:
            self._senders.move_to_end(id)
        passed, sender.at = now - sender.at, now
        sender.messages = min(messages * BURST_S, sender.messages + passed * messages)
        sender.bytes = min(size * BURST_S, sender.bytes + passed * size)
        return sender


def _reached(scope: str, limit: LimitName, allowed: int, current: float) -> Refused:
    return Refused(
        "limit.reached",
        f"{limit} of the {scope}: {current:.0f}, at most {allowed} are allowed",
        limit=limit,
        allowed=allowed,
        current=round(current),
    )
