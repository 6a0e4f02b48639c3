"""A webhook's calls, made: some at a time, no faster than agreed, and what came of each kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from contracts.failures import Failure, Refused, Unprocessable
from contracts.webhook_deliveries import DeliveryRecord, Outcome
from runtime.observe import log
from services.ingest.webhooks import metrics, pausing
from services.ingest.webhooks.calling import Calling
from services.ingest.webhooks.feed import fetched
from services.ingest.webhooks.health import Health
from services.ingest.webhooks.held import Held
from services.ingest.webhooks.http import CONNECTIONS_MAX
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.planning import Planned, joined
from services.ingest.webhooks.queue import Queue
from services.ingest.webhooks.reading import Found, body
from services.ingest.webhooks.schedule import after, retry_after_s
from services.ingest.webhooks.store import Lost, Store
from services.ingest.webhooks.wanted import Wanted

_log = log(part="webhooks")
LOOK_S = 30.0  # what is due is looked for at least so often
AGAIN_S = 2.0
HOLD_S_MAX = 3600.0  # of a receiver that asks for patience with everything
THROTTLED = (429, 503)


class Attempts:
    """`run()` is its task."""

    def __init__(
        self, parts: Parts, wanted: Callable[[], Wanted], store: Store, queue: Queue, health: Health
    ) -> None:
        self._parts, self.wanted, self._store = parts, wanted, store
        self.queue, self.health = queue, health
        self._calling = Calling(parts, wanted)
        self._held = Held()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()
        self._room = asyncio.Event()
        self._hold_until = 0.0
        self._probe_at = 0.0
        self._tokens, self._tokens_at = parts.rules.calls_per_s, time.monotonic()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Until cancelled. Raises Lost where another owner has written."""
        while True:
            self._moved.clear()
            wait_s = self._pump()
            moved = asyncio.create_task(self._moved.wait())
            try:
                await asyncio.wait((moved, self._lost), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                moved.cancel()
            if self._lost.done():
                self._lost.result()

    async def has_room(self, timeout_s: float) -> bool:
        """Whether calls may be planned, as soon as they may."""
        self._room.clear()
        if self.queue.room:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), timeout_s)
        return self.queue.room

    async def plan(self, calls: list[Planned]) -> None:
        """Kept before any of them is attempted, all or none. Raises Lost."""
        entries: list[tuple[str, DeliveryRecord]] = []
        lanes: set[str] = set()
        grown: set[int] = set()
        for record, _ in calls:
            whole = self._joined(record) if record.lane is not None and record.lane not in lanes else None
            if record.lane is not None:
                lanes.add(record.lane)  # what comes later of this device stays behind it
            if whole is not None:
                grown.add(whole.number)
            entries.append(
                (self.queue.new_slot(), record) if whole is None else (self.queue.slot(whole.number), whole)
            )
        self.queue.under_way |= grown  # not attempted as they were
        try:
            await self._store.save(entries)
        finally:
            self.queue.under_way -= grown
        for (slot, record), (_, items) in zip(entries, calls, strict=True):
            self.queue.put(slot, record)
            self._held.add(record.number, [item.found for item in items], new=record.number not in grown)
        self._moved.set()

    def _joined(self, record: DeliveryRecord) -> DeliveryRecord | None:
        """The last call of its lane with what this one carries, if that may still be."""
        tail = self.queue.tail(record.lane or "")
        return None if tail is None else joined(tail, record)

    def retry(self, kept: list[tuple[str, DeliveryRecord]], delivery: str | None) -> list[DeliveryRecord]:
        """Which calls are tried again now: the one of this id, or all that are dead. Refused("not_found")."""
        waiting = [record for record in self.queue.live.values() if record.id == delivery]
        dead = [
            (slot, record)
            for slot, record in kept
            if slot.startswith("d") and record.state == "dead" and delivery in (None, record.id)
        ]
        if delivery is not None and not (waiting or dead):
            raise Refused("not_found", "no call with this id waits or was given up")
        begun = []
        for slot, record in dead:
            if record.number not in self.queue.live:
                fresh = record.model_copy(
                    update={"state": "waiting", "step": 0, "next_at": datetime.now(UTC)}
                )
                self.queue.put(slot, fresh)
                begun.append(fresh)
        self.queue.early |= {record.number for record in (*waiting, *begun)}
        self._moved.set()
        return [*waiting, *begun]

    async def keep(self, record: DeliveryRecord) -> None:
        await self._store.save([(self.queue.slot(record.number), record)])

    def hurry(self) -> None:
        """All that waits is tried now: the receiver seems to be back."""
        self.queue.early |= {n for n, record in self.queue.live.items() if record.state == "waiting"}
        self._hold_until = 0.0
        self._moved.set()

    def changed(self) -> None:
        """The registry says something new."""
        self._calling.changed()
        self._moved.set()

    async def settle(self) -> None:
        """What is under way comes to its end; nothing new begins."""
        self._hold_until = float("inf")
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._calling.close()

    def _pump(self) -> float:
        """Begins what may go now; says for how long nothing more is due."""
        now, clock = datetime.now(UTC), time.monotonic()
        if self.wanted().paused:
            return LOOK_S  # its resumption wakes us
        if clock < self._hold_until:
            return min(self._hold_until - clock, LOOK_S)
        at_once = 1 if self.health.failing else CONNECTIONS_MAX
        self._probe(clock)
        for record in list(self.queue.ready(now)):
            if len(self.queue.under_way) >= at_once:
                return LOOK_S  # the end of one of them wakes us
            if (wait_s := self._take_token(clock)) > 0:
                return wait_s
            self.queue.under_way.add(record.number)
            task = asyncio.create_task(self._make(record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        due = self.queue.next_at()
        wait_s = LOOK_S if due is None else min(max((due - now).total_seconds(), 0.01), LOOK_S)
        return min(wait_s, self._parts.rules.probe_s) if self.health.failing else wait_s

    def _probe(self, clock: float) -> None:
        """While it fails, the oldest call is tried now and then besides: so the end of an outage is noticed."""
        if not self.health.failing:
            self._probe_at = clock + self._parts.rules.probe_s
        if clock < self._probe_at:
            return
        self._probe_at = clock + self._parts.rules.probe_s
        oldest = next((r for r in self.queue.heads() if r.state == "waiting"), None)
        if oldest is not None:
            self.queue.early.add(oldest.number)

    def _take_token(self, clock: float) -> float:
        """0 where a call may go now, else for how long it may not."""
        rate = self._parts.rules.calls_per_s
        self._tokens = min(self._tokens + (clock - self._tokens_at) * rate, rate)
        self._tokens_at = clock
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return 0.0

    async def _make(self, record: DeliveryRecord) -> None:
        """One attempt, and what came of it in the log."""
        try:
            await self._attempt(record)
        except Lost as lost:
            if not self._lost.done():
                self._lost.set_exception(lost)
        except Failure as failure:  # the log or the secrets are away: the attempt did not take place
            _log.warning(
                "a call cannot be made now", webhook=self.wanted().key.integration, error=str(failure)
            )
            await asyncio.sleep(AGAIN_S)
        except Exception:  # noqa: BLE001 — a defect: this call waits, and others go on
            _log.exception("a call failed by a defect", webhook=self.wanted().key.integration, call=record.id)
            await asyncio.sleep(LOOK_S)
        finally:
            self.queue.under_way.discard(record.number)
            self._moved.set()
            self._room.set()

    async def _attempt(self, record: DeliveryRecord) -> None:
        wanted = self.wanted()
        found = self._held.take(record.number)
        if len(found) != len(record.sequences):
            found = await fetched(self._parts.bus.client, record.source, record.sequences)
        if not found:
            outcome, wait_s = _gone(), 0.0
            later = record.model_copy(update={"state": "dead", "next_at": None, "last": outcome})
        else:
            async with self._parts.place(wanted.key.organization):
                outcome, retry_after = await self._send(record, found)
            now = datetime.now(UTC)
            wait_s = retry_after_s(retry_after, now)
            schedule = self._parts.rules.schedule
            later = after(
                record, outcome, now=now, schedule=schedule, wait_s=wait_s, random=self._parts.random
            )
        metrics.attempted(outcome)
        self.queue.early.discard(record.number)
        await self._keep(later)
        recovered = self.health.after(later, outcome)
        if outcome.status in THROTTLED and wait_s:
            self._hold_until = time.monotonic() + min(wait_s, HOLD_S_MAX)
        if recovered:
            self.hurry()
        if await pausing.consider(self._parts, self.wanted().key, self.health, outcome):
            self._hold_until = time.monotonic() + AGAIN_S  # until the registry's event is here
        self.health.update(waiting=self.queue.waiting)

    async def _send(self, record: DeliveryRecord, found: list[Found]) -> tuple[Outcome, str | None]:
        """What came of it, and its Retry-After. Raises Unavailable where it could not be begun."""
        try:
            sent = await self._calling.send(record.id, body(record.source, found))
        except (Refused, Unprocessable) as failure:  # a secret that cannot be read: people must see it
            at = datetime.now(UTC)
            return Outcome(at=at, duration_ms=0.0, code=failure.code, detail=failure.detail[:200]), None
        return sent.outcome, sent.retry_after

    async def _keep(self, record: DeliveryRecord) -> None:
        slot = self.queue.slot(record.number)
        if record.state == "dead" and not slot.startswith("d"):
            await self._store.save([(slot, record), (self.queue.dead_slot(), record)])
        else:
            await self._store.save([(slot, record)])
        if record.state in ("dead", "delivered"):
            self.queue.over(record.number)
        else:
            self.queue.put(slot, record)


def _gone() -> Outcome:
    detail = "the log holds what it would carry no longer"
    return Outcome(at=datetime.now(UTC), duration_ms=0.0, code="webhook.message_gone", detail=detail)
