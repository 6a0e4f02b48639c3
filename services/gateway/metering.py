"""What comes by HTTP, against the limits of who sends it: a message over one is refused."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

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
        """Counts one message. Raises Refused("limit.reached") or ("payload.too_large"), and then counts nothing."""
        held = _held(caller)
        for scope, _, limits in held:
            if limits.payload_bytes is not None and payload_bytes > limits.payload_bytes:
                # To come again would not help: it is no 429.
                raise _reached(
                    scope, "payload_bytes", limits.payload_bytes, payload_bytes, code="payload.too_large"
                )
        now = self._clock()
        senders = [(scope, self._sender(id, limits, now), limits) for scope, id, limits in held]
        for scope, sender, limits in senders:
            for name, left, wanted in (
                ("messages_per_s", sender.messages, 1),
                ("bytes_per_s", sender.bytes, payload_bytes),
            ):
                allowed: int | None = getattr(limits, name)
                if allowed is not None and left < min(wanted, allowed * BURST_S):
                    current = allowed + wanted - max(0.0, left)
                    wait_s = (min(wanted, allowed * BURST_S) - left) / allowed
                    raise _reached(scope, name, allowed, current, retry_after_s=ceil(wait_s))  # type: ignore[arg-type]
        for _, sender, _ in senders:
            sender.messages -= 1
            sender.bytes -= payload_bytes

    def headers(self, caller: Principal) -> dict[str, str]:
        """What the caller may still send, as draft-ietf-httpapi-ratelimit-headers-10 writes it; empty without limits.

        `q` and `r` are messages or bytes, `w` and `t` (until all may be sent again) seconds.
        """
        now, policies, states = self._clock(), [], []
        for scope, id, limits in _held(caller):
            sender = self._sender(id, limits, now)
            for unit, rate, left in (
                ("messages", limits.messages_per_s, sender.messages),
                ("bytes", limits.bytes_per_s, sender.bytes),
            ):
                if rate is None:
                    continue
                quota = rate * BURST_S
                quota_unit = ';qu="content-bytes"' if unit == "bytes" else ""
                policies.append(f'"{scope}-{unit}";q={quota:.0f};w={BURST_S:.0f}{quota_unit}')
                remaining, full_s = max(0, floor(left)), ceil((quota - left) / rate)
                states.append(f'"{scope}-{unit}";r={remaining};t={full_s}')
        if not policies:
            return {}
        return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states)}

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


def _held(caller: Principal) -> list[tuple[str, str, Limits]]:
    """The scopes that have limits, with who they are counted for."""
    return [
        (scope, id, limits)
        for scope, id, limits in (
            ("organization", caller.organization, caller.limits),
            ("credential", caller.actor, caller.own_limits),
        )
        if limits is not None
    ]


def _reached(
    scope: str,
    limit: LimitName,
    allowed: int,
    current: float,
    *,
    retry_after_s: int | None = None,
    code: str = "limit.reached",
) -> Refused:
    wait: dict[str, Any] = {} if retry_after_s is None else {"retry_after_s": retry_after_s}
    return Refused(
        code,
        f"{limit} of the {scope}: {current:.0f}, at most {allowed} are allowed",
        limit=limit,
        allowed=allowed,
        current=round(current),
        **wait,
    )
