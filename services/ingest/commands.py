"""Follows the log of commands to devices, and sends those whose connection is here.

Every replica knows all that are under way. One at a time (the overseer) sends those of the hosted broker, hears
answers and ends what is too late. What is known is read back at a start: a queued command is sent by whoever
comes next, at least once.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client

from contracts import subjects, upcasts
from contracts.device_command_state import step
from contracts.device_commands import EXPIRES_IN_S_MAX, DeviceCommandQueued
from contracts.failures import Unavailable, Unprocessable
from contracts.organizations import PLATFORM
from contracts.streams import COMMANDS
from runtime import jetstream
from runtime.activity import ActivityLog
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.pull import Entry, Pull
from services.ingest.commands_lanes import Lanes
from services.ingest.commands_log import CommandKey, CommandLog, first_since
from services.ingest.commands_overseer import LEASE, Overseer
from services.ingest.commands_sending import Sending
from services.ingest.commands_under_way import Tracked, UnderWay
from services.ingest.lease import Lease
from services.ingest.links import Key
from services.ingest.manager import Manager
from services.ingest.publish_hosted import HostedConnection
from services.ingest.session import Session

_log = log(part="commands")
TICK_S = 0.5
REVIEW_S = 5.0
AGAIN_AFTER = timedelta(seconds=15)  # longer than whoever sent it waits for an acknowledgement
READ_BACK = timedelta(seconds=EXPIRES_IN_S_MAX + 3600)  # an hour more, for clocks


class Commands:
    """`run()` is its task; `ready` once all that was under way at the start is known."""

    def __init__(
        self,
        client: Client,
        manager: Manager,
        hosted: HostedConnection,
        activity: ActivityLog,
        owner: bytes,
    ) -> None:
        self._client, self._manager, self._hosted = client, manager, hosted
        self._under_way = UnderWay()
        log_of_commands = CommandLog(client)
        self._sending = Sending(log_of_commands, self._session, self._filters, activity)
        self._lanes = Lanes(self._sending.send, lambda link: self._session(link) is not None)
        self._overseer = Overseer(
            client,
            self._under_way,
            log_of_commands,
            self._sending,
            Lease(client, PLATFORM, LEASE, owner),
            self._caught_up,
        )
        self._position = 0
        self._moved = asyncio.Event()
        self._reviewed = 0.0
        self.ready = False

    async def run(self) -> None:
        overseeing: asyncio.Task[None] | None = None
        pull: Pull | None = None
        try:
            while True:
                try:
                    if pull is None:
                        pull = await self._open()
                    await self._follow(pull)
                except (Unavailable, ApiError) as error:
                    _log.warning("commands cannot be read", error=str(error))
                    await asyncio.sleep(TICK_S)
                if self.ready and overseeing is None:
                    overseeing = asyncio.create_task(self._overseer.run(), name="commands overseer")
                if overseeing is not None and overseeing.done():
                    overseeing.result()
        finally:
            if overseeing is not None:
                overseeing.cancel()
                await asyncio.gather(overseeing, return_exceptions=True)
            await self._lanes.close()
            if pull is not None:
                await pull.close()

    async def _open(self) -> Pull:
        start = await first_since(self._client, COMMANDS.name, datetime.now(UTC) - READ_BACK)
        if start is None:
            start = (await jetstream.stream_state(self._client, COMMANDS.name)).last + 1
        self._position = start - 1
        return Pull(self._client, COMMANDS.name, start=start, messages_max=1000, name="ingest-commands")

    async def _follow(self, pull: Pull) -> None:
        batch = await pull.next_batch(500, timeout_s=TICK_S)
        for entry in batch:
            self._take(entry)
        if not self.ready and (not batch or batch[-1].pending == 0):
            self.ready = True
            for tracked in self._under_way.all():
                self._send(tracked)
        if self.ready:
            self._tick(datetime.now(UTC))
        if batch:
            self._position = batch[-1].sequence
        self._moved.set()

    def _take(self, entry: Entry) -> None:
        try:
            recorded = upcasts.decode(
                entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence
            )
        except Unprocessable as failure:
            _log.error("an event of a command cannot be read", error=failure.detail)
            return
        if recorded is None:
            return
        key = CommandKey(*subjects.named_command(entry.subject))
        tracked = self._under_way.take(key, recorded, datetime.fromtimestamp(entry.time_ns / 1e9, UTC))
        if tracked is None:
            return
        if tracked.held.ended:
            self._forget(tracked)
        elif isinstance(recorded.event, DeviceCommandQueued) and self.ready:
            self._overseer.take_on(tracked)
            self._send(tracked)

    def _send(self, tracked: Tracked) -> None:
        if step(tracked.held, datetime.now(UTC)) == "send":
            self._lanes.put(tracked.link, tracked.held.queued.device_id, tracked.key)

    def _tick(self, now: datetime) -> None:
        for tracked in self._under_way.due(now):
            if step(tracked.held, now) == "expire":
                self._overseer.expire(tracked, now)
            else:
                self._forget(tracked)
        self._lanes.pump()
        if time.monotonic() - self._reviewed > REVIEW_S:
            self._reviewed = time.monotonic()
            self._review(now)

    def _review(self, now: datetime) -> None:
        """After another owner's end: what it left half done."""
        for tracked in self._under_way.unacknowledged(now, AGAIN_AFTER):
            if tracked.key not in self._lanes:
                self._send(tracked)
        for link, topic in {each.topic for each in self._under_way.all() if each.held.queued.answer_expected}:
            self._sending.keep_listening(link, topic)

    def _forget(self, tracked: Tracked) -> None:
        if self._under_way.forget(tracked):
            self._sending.leave(*tracked.topic)
        self._overseer.let_go(tracked)

    async def _caught_up(self, sequence: int) -> None:
        while self._position < sequence:
            self._moved.clear()
            await self._moved.wait()

    def _session(self, link: Key) -> Session | None:
        if link.integration == subjects.HOSTED:
            return self._hosted.session if self._overseer.at_work else None
        held = self._manager.link(link)
        return held.session if held else None

    def _filters(self, link: Key) -> tuple[str, ...]:
        held = self._manager.link(link)
        return tuple(topic.filter for topic in held.wanted.topics) if held else ()
