"""Which decoder reads whose messages, for live streams: the REGISTRY's integrations, held in memory."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from contracts import subjects
from contracts.decoders.choice import Choice, Choices
from contracts.envelope import Recorded
from runtime import registry
from runtime.pull import Entry


class DecoderChoices:
    """`run()` is its task; before it has read the log, and for whom it does not know, the default holds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = Choices()
        self.complete = asyncio.Event()

    def choose(self, organization: str, source: str, at_ns: int) -> Choice:
        return self._held.choose(organization, source, at_ns)

    async def run(self) -> None:
        await registry.follow(
            self._client, "gateway-integrations", ("integration",), self._apply, self.complete.set
        )

    def _apply(self, entry: Entry, recorded: Recorded) -> None:
        entity = subjects.entity(entry.subject)
        self._held.apply(entity.organization, entity.id, recorded.event, entry.time_ns)
