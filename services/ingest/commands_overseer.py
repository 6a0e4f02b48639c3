"""What one replica of all does for commands to devices: hears answers, ends what is too late or too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client

from contracts import subjects
from contracts.device_command_state import Declined, Happening, Heard, TimePassed, answers
from contracts.messages import StoredMessage
from runtime.observe import log
from services.ingest.commands_answers import Readers, filter_of
from services.ingest.commands_log import CommandKey, CommandLog
from services.ingest.commands_sending import Sending
from services.ingest.commands_under_way import Tracked, UnderWay
from services.ingest.lease import Lease
from services.ingest.links import Key

_log = log(part="commands")
LEASE = "device-commands"
OF_ORGANIZATION_MAX = 10_000  # under way; some 10 MB in each replica
APPENDS_MAX = 32  # at once
LOOK_AGAIN = timedelta(seconds=0.5)
AGAIN_S = 1.0


class Overseer:
    """`run()` is its task; `at_work` while this replica is the one."""

    def __init__(
        self,
        client: Client,
        under_way: UnderWay,
        commands: CommandLog,
        sending: Sending,
        lease: Lease,
        caught_up: Callable[[int], Awaitable[None]],
    ) -> None:
        self._under_way, self._commands, self._sending, self._lease = under_way, commands, sending, lease
        self._readers = Readers(client, self._on_message, caught_up)
        self._overseeing = False
        self._appends = asyncio.Semaphore(APPENDS_MAX)
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def at_work(self) -> bool:
        return self._overseeing and self._lease.held

    async def run(self) -> None:
        """To be begun when all that is under way is known."""
        while True:
            await self._lease.acquire()
            kept = asyncio.create_task(self._lease.keep())
            try:
                self._begin()
                _log.info("commands are not overseen here any more", reason=await kept)
            finally:
                self._overseeing = False
                kept.cancel()
                for chore in self._chores:
                    chore.cancel()
                await asyncio.gather(kept, *self._chores, return_exceptions=True)
                await self._readers.close()
                await self._lease.release()
            await asyncio.sleep(AGAIN_S)

    def _begin(self) -> None:
        self._overseeing = True
        since = min((each.stored_at for each in self._under_way.all()), default=datetime.now(UTC))
        self._readers.start(subjects.hosted_answers(), since)
        for tracked in self._under_way.all():
            tracked.is_answered = False  # what was heard before may not have been recorded: it is read again
            self.take_on(tracked)

    def take_on(self, tracked: Tracked) -> None:
        """A command that is new."""
        if not self._overseeing:
            return
        if self._under_way.count(tracked.key.organization) > OF_ORGANIZATION_MAX:
            self._decline(tracked, f"more than {OF_ORGANIZATION_MAX} commands are under way")
        elif tracked.held.queued.answer_expected and not self._readers.need(
            tracked.key.organization, _filter(tracked), tracked.key, tracked.stored_at
        ):
            self._decline(tracked, "answers are awaited from too many places at once")

    def let_go(self, tracked: Tracked) -> None:
        """A command that has ended."""
        self._readers.release(_filter(tracked), tracked.key)

    def expire(self, tracked: Tracked, now: datetime) -> None:
        """One that is too late ends; not before every answer that came in time has been looked at."""
        self._under_way.look_again(tracked, now + LOOK_AGAIN)
        if tracked.is_answered or not self.at_work:
            return
        if tracked.held.queued.answer_expected:
            read_until = self._readers.read_until(_filter(tracked))
            if read_until is None or read_until < tracked.held.expires_at:
                return
        self._under_way.look_again(tracked, now + 10 * LOOK_AGAIN)
        self._happens(tracked.key, TimePassed())

    def _decline(self, tracked: Tracked, why: str) -> None:
        self._happens(tracked.key, Declined("limit.reached", why))

    def _happens(self, key: CommandKey, happening: Happening) -> None:
        chore = asyncio.create_task(self._happen(key, happening))
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)
        chore.add_done_callback(_report)

    async def _happen(self, key: CommandKey, happening: Happening) -> None:
        async with self._appends:
            known = await self._commands.happen(key, happening)
        await self._sending.ended(key, known)

    def _on_message(self, message: StoredMessage, sequence: int, said: str | None) -> None:
        waiting = self._under_way.waiting((Key(message.organization, message.source), message.topic))
        found = answers(message.payload, [(each.key.id, each.held) for each in waiting], said)
        for tracked in waiting:
            if tracked.key.id == found and message.received <= tracked.held.expires_at:
                tracked.is_answered = True
                heard = Heard(message.topic, message.payload, sequence, message.received)
                self._happens(tracked.key, heard)


def _report(chore: asyncio.Task[None]) -> None:
    if not chore.cancelled() and (error := chore.exception()) is not None:
        _log.error("what happened to a command was not recorded", error=repr(error))


def _filter(tracked: Tracked) -> str:
    queued = tracked.held.queued
    return filter_of(tracked.key.organization, queued.integration_id, queued.response_topic)
