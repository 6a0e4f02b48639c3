"""The reading of a webhook's logs, from its places in them to calls that are planned."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, NamedTuple

from contracts.failures import Unavailable
from contracts.webhook_deliveries import DeliveryRecord, Place, Source
from runtime.jetstream import ApiError
from runtime.observe import log
from services.ingest.webhooks.attempts import Attempts
from services.ingest.webhooks.feed import Opened, open_feed
from services.ingest.webhooks.health import Health
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.planning import planned
from services.ingest.webhooks.reading import Found, Item, item
from services.ingest.webhooks.store import STATE, Store

_log = log(part="webhooks")
LOOKED_AT_MAX = 1_000  # messages looked at in one go: several of each device go together
PLANNED_MAX = 80  # calls at once: with LIVE_MAX and the large ones, fewer than there are slots
LARGE_BYTES = 32 * 1024  # messages that soon fill a call
LEFT_OPEN_S = 10.0  # a webhook whose calls do not go keeps no reader of the log for longer
AGAIN_S = 1.0


class _Looked(NamedTuple):
    found: Found
    item: Item | None


class Reader:
    """The logs of one webhook, up to its places in them."""

    def __init__(self, parts: Parts, store: Store, attempts: Attempts, health: Health) -> None:
        self._parts, self._store, self._attempts, self._health = parts, store, attempts, health
        self._wanted = attempts.wanted
        self._turn = asyncio.Lock()

    @property
    def _places(self) -> dict[Source, Place]:
        return self._health.standing.places

    def passed(self, record: DeliveryRecord) -> None:
        """What a call says of the place: it may have been planned after the place was kept last."""
        held = self._places.get(record.source)
        if held is None or (held.epoch == record.epoch and held.sequence < record.through):
            self._move(record.source, Place(epoch=record.epoch, sequence=record.through, at_ns=record.at_ns))

    async def follow_resumption(self) -> None:
        """Begun anew: what waits goes now, and patience with it."""
        wanted = self._wanted()
        if wanted.resumed <= self._health.standing.resumed:
            return
        self._health.update(resumed=wanted.resumed, failing_since=None, failures=0)
        await self._store.save([(STATE, self._health.standing)])
        self._attempts.hurry()

    async def follow(self, source: Source, filters: tuple[str, ...]) -> None:
        """Until cancelled."""
        opened: Opened | None = None
        rest: list[Found] = []  # read, and not planned yet
        try:
            while True:
                if not await self._attempts.has_room(LEFT_OPEN_S):
                    if opened is not None:
                        await opened.pull.close()
                        opened, rest = None, []
                    continue
                try:
                    if opened is None:
                        opened = await self._open(source, filters)
                    if not rest:
                        batch = await opened.pull.next_batch(LOOKED_AT_MAX, timeout_s=LEFT_OPEN_S)
                        rest = [Found(e.subject, e.headers, e.data, e.sequence, e.time_ns) for e in batch]
                        pending = batch[-1].pending if batch else 0
                except (Unavailable, ApiError) as error:
                    _log.warning("a log cannot be read", source=source, error=str(error))
                    await asyncio.sleep(AGAIN_S)
                    continue
                if rest:
                    async with self._turn:  # one log after the other: what has room here has it still
                        if self._attempts.queue.room:
                            rest = await self._plan_some(source, rest, pending)
        finally:
            if opened is not None:
                await opened.pull.close()

    async def _open(self, source: Source, filters: tuple[str, ...]) -> Opened:
        wanted = self._wanted()
        opened = await open_feed(
            self._parts.bus.client, source, filters, self._places.get(source), wanted.since[source]
        )
        self._move(source, opened.place)
        if opened.skipped:
            self._health.update(skipped=self._health.standing.skipped + opened.skipped)
            summary = f"up to {opened.skipped} messages had left the log before their turn"
            self._parts.note(
                wanted.key,
                "webhook.gap",
                "failed",
                summary,
                "webhook.message_gone",
                {"count": opened.skipped},
            )
        return opened

    async def _plan_some(self, source: Source, found: list[Found], pending: int) -> list[Found]:
        """Plans calls for the first of these; the others."""
        looked, rest = self._together(source, found)
        last = looked[-1].found
        place = Place(
            epoch=self._places[source].epoch,
            sequence=last.sequence,
            at_ns=last.time_ns,
            pending=pending + len(rest),
        )
        await _whole(self._plan(source, place, [each.item for each in looked if each.item is not None]))
        return rest

    def _together(self, source: Source, found: list[Found]) -> tuple[list[_Looked], list[Found]]:
        """What is planned now, and the rest: no more calls at once than there are slots for."""
        wanted = self._wanted()
        looked: list[_Looked] = []
        calls, lanes = 0, set[str | None]()
        for number, each in enumerate(found):
            made = item(wanted.key, wanted.settings, source, each)
            if made is not None:
                own = source != "MESSAGES" or (wanted.settings.ordered and made.device not in lanes)
                calls += own or len(each.data) > LARGE_BYTES
                lanes.add(made.device)
            if calls > PLANNED_MAX:
                return looked, found[number:]
            looked.append(_Looked(each, made))
        return looked, []

    async def _plan(self, source: Source, place: Place, items: list[Item]) -> None:
        wanted = self._wanted()
        calls = planned(
            wanted.key,
            source,
            items,
            ordered=wanted.settings.ordered,
            epoch=place.epoch,
            through=place.sequence,
            at_ns=place.at_ns,
            number=self._attempts.queue.next_number,
            now=datetime.now(UTC),
        )
        if calls:
            await self._attempts.plan(calls)
        self._move(source, place)

    def _move(self, source: Source, place: Place) -> None:
        self._health.update(places={**self._places, source: place})


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """To its end, also where we are cancelled meanwhile: what is stored and what is known stay the same."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
