"""Commands to devices into their log, and the wait for what becomes of one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import nats.errors

from contracts import subjects, upcasts
from contracts.device_command_state import DeviceCommand, evolve, fold
from contracts.device_commands import DeviceCommandQueued
from contracts.envelope import Cause
from contracts.failures import Refused, Unavailable
from contracts.organizations import Principal
from contracts.streams import COMMANDS
from runtime.bus import Bus
from runtime.event_log import Append, EventLog

WAITS_MAX = 300  # requests of this process that wait for an answer: each holds a place of all requests
WAITS_OF_ORGANIZATION_MAX = 50
SOURCE = "gateway"


class Orders:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waits: Counter[str] = Counter()

    async def place(
        self, caller: Principal, id: str, order: DeviceCommandQueued, *, key: str | None, wait_s: float
    ) -> DeviceCommand:
        """The command once the log has it; with `wait_s` once it has ended, or as it stands then.

        The same `key` again is the same command. Raises Refused("idempotency.reused"), ("limit.reached"),
        Unavailable("log.unavailable").
        """
        subject = subjects.device_command(caller.organization, id)
        if not wait_s:
            return await self._queue(subject, order, caller, key)
        deadline = asyncio.get_running_loop().time() + wait_s
        async with self._place_to_wait(caller.organization), self._listening(subject) as heard:
            held = await self._queue(subject, order, caller, key)
            while not held.ended:
                left_s = deadline - asyncio.get_running_loop().time()
                try:
                    message = await heard.next_msg(timeout=max(left_s, 0.001))
                except (nats.errors.TimeoutError, TimeoutError):
                    return fold(await self._log.read(subject)) or held  # also what we may have missed
                recorded = upcasts.decode(message.headers or {}, message.data, subject=subject)
                if recorded is not None:
                    held = evolve(held, recorded) or held
        return held

    @property
    def _log(self) -> EventLog:
        return EventLog(self._bus.client, COMMANDS.name)

    async def _queue(
        self, subject: str, order: DeviceCommandQueued, caller: Principal, key: str | None
    ) -> DeviceCommand:
        cause = Cause(caller.actor, SOURCE, key)
        try:
            recorded = await self._log.append([Append(subject, order, 0)], cause=cause, now=datetime.now(UTC))
        except Refused as refused:
            before = fold(await self._log.read(subject))
            if before is None:
                raise Unavailable("log.unavailable", "the command cannot be read; try again") from refused
            if before.queued != order:
                raise Refused("idempotency.reused", "this key was sent with another command") from refused
            return before
        held = fold(recorded)
        assert held is not None
        return held

    @asynccontextmanager
    async def _place_to_wait(self, organization: str) -> AsyncIterator[None]:
        if self._waits.total() >= WAITS_MAX or self._waits[organization] >= WAITS_OF_ORGANIZATION_MAX:
            raise Refused("limit.reached", "too many requests wait for answers; ask without `wait_s`")
        self._waits[organization] += 1
        try:
            yield
        finally:
            self._waits[organization] -= 1
            self._waits += Counter()  # without those that have none

    @asynccontextmanager
    async def _listening(self, subject: str) -> AsyncIterator[Any]:
        subscription: Any = await self._bus.client.subscribe(subject)
        try:
            yield subscription
        finally:
            if not self._bus.client.is_closed:
                await subscription.unsubscribe()
