"""The steps of a connection test as they are taken: timed, told, kept."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from contracts.broker_topics import TopicFilter
from contracts.connection_test import ConnectionTested, Step, StepName
from services.ingest.findings import Finding

Tell = Callable[[Step], Awaitable[None]]


class Failed(Exception):
    """The step failed, and none can follow."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.seen)
        self.finding = finding


class Steps:
    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._taken: list[Step] = []
        self._under_way: tuple[StepName, TopicFilter | None, float] | None = None

    def tested(self) -> ConnectionTested:
        return ConnectionTested(ok=all(step.ok for step in self._taken), steps=tuple(self._taken))

    @asynccontextmanager
    async def step(self, name: StepName, topic: TopicFilter | None = None) -> AsyncIterator[list[str]]:
        """What is put into the list is what was seen; Failed ends the step, and passes on."""
        begun = time.monotonic()
        self._under_way = name, topic, begun
        seen: list[str] = []
        try:
            yield seen
        except Failed as failed:
            await self.add(name, begun, failed.finding, topic)
            raise
        await self.add(name, begun, "; ".join(seen), topic)

    async def add(
        self, name: StepName, begun: float, seen: str | Finding, topic: TopicFilter | None = None
    ) -> None:
        """A step that passed with `seen`, or that failed with a finding."""
        self._under_way = None
        duration_ms = round((time.monotonic() - begun) * 1000, 1)
        step = (
            Step(name=name, ok=True, duration_ms=duration_ms, seen=seen, topic=topic)
            if isinstance(seen, str)
            else Step(name=name, ok=False, duration_ms=duration_ms, topic=topic, **seen._asdict())
        )
        self._taken.append(step)
        await self._tell(step)

    async def give_up(self, finding: Finding) -> None:
        """The time is over in the middle of a step."""
        if self._under_way is not None:
            name, topic, begun = self._under_way
            await self.add(name, begun, finding, topic)
