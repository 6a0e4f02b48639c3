"""Which decoder reads whose messages, for live streams: the REGISTRY's integrations, held in memory."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from pydantic import ValidationError

from contracts import subjects, upcasts
from contracts.decoders.choice import Choice, Choices
from contracts.failures import Failure, Unavailable
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.pull import Entry, Pull

_log = log(part="decoder choices")
AWAY_S = 1.0
QUIET_S = 0.5


class DecoderChoices:
    """`run()` is its task; before it has read the log, and for whom it does not know, the default holds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = Choices()
        self.complete = asyncio.Event()

    def choose(self, organization: str, source: str, at_ns: int) -> Choice:
        return self._held.choose(organization, source, at_ns)

    async def run(self) -> None:
        pull = Pull(
            self._client,
            "REGISTRY",
            start=1,
            filters=[subjects.registry_of_kind("integration")],
            name="gateway-integrations",
        )
        while True:
            try:
                entries = await pull.next_batch(1000, timeout_s=None if self.complete.is_set() else QUIET_S)
            except (Unavailable, ApiError) as error:
                _log.warning("the registry cannot be read", error=str(error))
                await asyncio.sleep(AWAY_S)
                continue
            for entry in entries:
                self._apply(entry)
            if not entries or entries[-1].pending == 0:
                self.complete.set()

    def _apply(self, entry: Entry) -> None:
        try:
            recorded = upcasts.decode(
                entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
            )
            if recorded is not None:
                entity = subjects.entity(entry.subject)
                self._held.apply(entity.organization, entity.id, recorded.event, entry.time_ns)
        except (Failure, ValidationError) as error:
            _log.error("an integration's event cannot be used", subject=entry.subject, error=str(error))
