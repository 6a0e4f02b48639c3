"""Follows the REGISTRY: a webhook's work is begun, changed or ended as it is, and no other is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from contracts import subjects, upcasts
from contracts.failures import Refused, Unavailable, Unprocessable
from runtime.observe import log
from runtime.pull import Entry, Pull
from services.ingest.claim import Claim
from services.ingest.links import Key
from services.ingest.ownership import Ownership
from services.ingest.routing import Routing
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.wanted import Wanted, Webhooks, evolve
from services.ingest.webhooks.worker import Worker

_log = log(part="webhooks")
FILTERS = (subjects.registry_of_kind("webhook"), subjects.registry_of_kind("organization"))
CAUGHT_UP_S = 1.0
FOLLOWED_S, FOLLOWED_TRIES = 2.0, 40


class WebhookManager:
    """`run()` is its task; `ready` once all that stood in the REGISTRY at the start is taken in."""

    def __init__(self, parts: Parts, ownership: Ownership, routing: Routing) -> None:
        self._parts, self._ownership, self._routing = parts, ownership, routing
        self._wanted: Webhooks = {}
        self._workers: dict[Key, Worker] = {}
        self._chores: set[asyncio.Task[Any]] = set()
        self.ready = False

    def worker(self, key: Key) -> Worker | None:
        """The webhook's work, if this process has it."""
        return self._workers.get(key) if self._ownership.is_ours(key) else None

    async def wanted(self, key: Key) -> Wanted:
        """As the registry has it, whoever owns it. Raises Refused("not_found")."""
        for _ in range(FOLLOWED_TRIES):  # what was saved a moment ago may not have come yet
            if (found := self._wanted.get(key)) is not None:
                return found
            await asyncio.sleep(FOLLOWED_S / FOLLOWED_TRIES)
        raise Refused("not_found")

    async def run(self) -> None:
        """Follows until cancelled."""
        pull = Pull(self._parts.bus.client, "REGISTRY", start=1, filters=FILTERS, name="ingest-webhooks")
        while True:
            try:
                batch = await pull.next_batch(500, timeout_s=CAUGHT_UP_S)
            except Unavailable as failure:
                _log.warning("the registry cannot be read", error=failure.detail)
                await asyncio.sleep(CAUGHT_UP_S)
                continue
            self._take(batch)

    def _take(self, batch: list[Entry]) -> None:
        for entry in batch:
            try:
                recorded = upcasts.decode(
                    entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
                )
            except Unprocessable as failure:
                _log.error("an event cannot be read: its webhook stays as it was", error=failure.detail)
                continue
            if recorded is not None:
                evolve(self._wanted, recorded)
        if self.ready or not batch or batch[-1].pending == 0:
            self._reconcile()
            self.ready = True

    def _reconcile(self) -> None:
        for key in [held for held in self._workers if held not in self._wanted]:
            del self._workers[key]
            self._chore(self._ownership.remove(key))
        for key, wanted in self._wanted.items():
            held = self._workers.get(key)
            if held is None:
                self._begin(wanted)
            elif held.wanted.revision != wanted.revision:
                held.change(wanted)

    def _begin(self, wanted: Wanted) -> None:
        key = wanted.key
        worker = self._workers[key] = Worker(self._parts, wanted)

        async def work(claim: Claim) -> None:
            async with self._routing.open(key, lambda: self._ownership.is_ours(key)):
                await worker.run(claim)

        self._ownership.add(key, work)

    def _chore(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
