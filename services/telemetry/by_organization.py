"""Messages, readings and failures by organization, as metrics: off unless the operator asks for it.

A label's values must be few: of `ORGANIZATIONS_MAX` organizations each is told, all others are `other`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import asyncpg
from opentelemetry.metrics import CallbackOptions, Observation

from runtime.observe import meter
from services.telemetry.checkpoints import Session
from services.telemetry.messages import Ready
from services.telemetry.place import Checkpoint

ORGANIZATIONS_MAX = 1_000
OTHER = "other"
_KINDS = {
    "messages": "Device messages stored, by organization",
    "readings": "Readings stored, by organization",
    "failures": "Messages that could not be decoded, by organization",
}


class ByOrganization:
    """A follower of the messages' projection that stores nothing."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        for kind, description in _KINDS.items():
            meter.create_observable_counter(
                f"hybridmq.organization.{kind}", [self._told(kind)], description=description
            )

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> Ready:
        del pool, place
        return ready

    async def write(self, connection: Session, prepared: Ready) -> None:
        """Nothing: it counts what is stored for good."""

    def committed(self, prepared: Ready) -> None:
        batch = prepared.batch
        self._add("messages", Counter(row.organization for row in batch.messages))
        self._add("readings", Counter(row.organization for row in batch.samples))
        self._add("failures", Counter(row.organization for row in batch.messages if row.failure))

    def forget(self) -> None:
        """What was counted was stored."""

    def _add(self, kind: str, counts: Counter[str]) -> None:
        held = self._counted[kind]
        for organization, count in counts.items():
            named = organization in held or len(held) < ORGANIZATIONS_MAX
            held[organization if named else OTHER] += count

    def _told(self, kind: str) -> Any:
        def observe(_: CallbackOptions) -> list[Observation]:
            return [
                Observation(count, {"organization": organization})
                for organization, count in list(self._counted[kind].items())
            ]

        return observe
