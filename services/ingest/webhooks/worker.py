"""One webhook, while this process owns it: reads the logs, plans calls, makes them, keeps what came of each."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial

from contracts.failures import Failure, Unavailable
from runtime.observe import log
from services.ingest.claim import Claim
from services.ingest.webhooks import store as stores
from services.ingest.webhooks.attempts import Attempts
from services.ingest.webhooks.health import Health
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.queue import Queue
from services.ingest.webhooks.reader import Reader
from services.ingest.webhooks.store import STATE, Lost, Store
from services.ingest.webhooks.wanted import Wanted, sources

_log = log(part="webhooks")
AGAIN_S = 1.0
KEEP_S = 1.0
RENEW_S = 86_400.0  # the claim and what is kept grow old with their logs, after 30 days
SETTLE_S = 5.0


class Worker:
    """`run` while it is ours; `change` whenever the registry says something new of it."""

    def __init__(self, parts: Parts, wanted: Wanted) -> None:
        self._parts, self.wanted = parts, wanted
        self._changed = asyncio.Event()
        self.attempts: Attempts | None = None

    def change(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._changed.set()

    async def run(self, claim: Claim) -> None:
        """Until cancelled, or another owner has written."""
        key = self.wanted.key
        kept = await self._kept()
        health = Health(kept.standing, partial(self._parts.note, key))
        store = Store(self._parts.bus.client, key, kept.sequences)
        attempts = Attempts(self._parts, lambda: self.wanted, store, Queue(kept.records), health)
        reader = Reader(self._parts, store, attempts, health)
        for _, record in kept.records:
            reader.passed(record)
        self.attempts = attempts
        tasks = [
            asyncio.create_task(attempts.run(), name="calls"),
            asyncio.create_task(self._read(reader, attempts), name="reading"),
            asyncio.create_task(self._keep(claim, store, health), name="keeping"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(Lost):
                    task.result()
        finally:
            self.attempts = None
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(attempts.settle(), SETTLE_S)
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
            await attempts.close()
            with suppress(Lost, Failure, TimeoutError):
                await asyncio.wait_for(store.save([(STATE, health.standing)]), AGAIN_S)

    async def _kept(self) -> stores.Kept:
        while True:
            try:
                return await stores.read(self._parts.bus.client, self.wanted.key)
            except Unavailable as failure:
                _log.warning("a webhook's calls cannot be read", error=failure.detail)
                await asyncio.sleep(AGAIN_S)

    async def _read(self, reader: Reader, attempts: Attempts) -> None:
        """Reads what is wanted, anew whenever that changes."""
        while True:
            self._changed.clear()
            wanted = self.wanted
            await reader.follow_resumption()
            attempts.changed()
            tasks = [
                asyncio.create_task(reader.follow(source, filters))
                for source, filters in sources(wanted.key.organization, wanted.settings).items()
                if not wanted.paused
            ]
            change = asyncio.create_task(self._changed.wait())
            try:
                done, _ = await asyncio.wait([change, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in (change, *tasks):
                    task.cancel()
                await asyncio.gather(change, *tasks, return_exceptions=True)

    async def _keep(self, claim: Claim, store: Store, health: Health) -> None:
        """What changed, each moment; all of it and the claim, each day."""
        saved, renewed = health.standing, time.monotonic()
        while True:
            await asyncio.sleep(KEEP_S)
            due = time.monotonic() - renewed > RENEW_S
            if due or health.standing != saved:
                saved = health.standing
                await store.save([(STATE, saved)])
            if due:
                with suppress(Unavailable):  # in a moment again
                    if not await claim.renew():
                        raise Lost
                    renewed = time.monotonic()
