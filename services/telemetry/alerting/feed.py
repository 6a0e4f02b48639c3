"""Boards kept in step with the database: in a projection's transaction, and on a clock between its batches.

The clock says no later than the log was read to: what stands in the log and was not looked at yet (after an
outage, say) must not be taken for silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg
from nats.aio.client import Client

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from services.telemetry import activity, messages, parting
from services.telemetry.alerting import store
from services.telemetry.alerting.board import Board
from services.telemetry.alerting.of_activity import ActivityBoard
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.checkpoints import Session, read
from services.telemetry.database import AWAY
from services.telemetry.place import Checkpoint
from services.telemetry.projector import Projector

_log = log(part="alerts")
TICK_S = 1.0

BoardT = TypeVar("BoardT", bound=Board)
ReadyT = TypeVar("ReadyT")


class Prepared(NamedTuple):
    """`number` and `before` chain batches: one that follows another than the last one judged finds old memory."""

    number: int
    before: int
    ready: Any
    concerned: bool


class Feed(Generic[BoardT, ReadyT]):
    """A follower of a projection; `run()` is its clock's task. `told` is called when something is to be sent."""

    name: store.FeedName

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        board: BoardT,
        ready: asyncio.Event,
        told: Callable[[], None],
    ) -> None:
        self._client, self._pool, self._board, self._told = client, pool, board, told
        self._rules_known = ready
        self._projector: Projector[Any] | None = None
        self._token: int | None = None
        self._prepared = self._judged = self._count = 0
        self._has_news = False

    def reads(self, projector: Projector[Any]) -> None:
        """Whose batches it follows."""
        self._projector = projector

    # of one's own kind
    def concerns(self, ready: ReadyT) -> bool:
        raise NotImplementedError

    def judge(self, ready: ReadyT) -> None:
        raise NotImplementedError

    def moment(self, ready: ReadyT) -> datetime:
        """The log's, of one that concerns rules."""
        raise NotImplementedError

    def idle(self) -> bool:
        """Whether there is nothing that a clock could bring about."""
        raise NotImplementedError

    async def learn(self, connection: Session) -> None:
        """What the board has to know beside states."""

    # a follower
    async def prepare(self, pool: asyncpg.Pool, ready: ReadyT, place: Checkpoint) -> Prepared:
        del pool, place
        await self._rules_known.wait()
        self._count += 1
        before, self._prepared = self._prepared, self._count
        return Prepared(self._count, before, ready, self.concerns(ready))

    async def write(self, connection: Session, prepared: Prepared) -> None:
        follows = prepared.before == self._judged
        if not prepared.concerned:
            if follows:
                self._judged = prepared.number
            return
        token = await store.lock(connection, self.name)
        if token != self._token or not follows:
            await self._load(connection)
        await self.learn(connection)
        moment = max(self._board.now, self.moment(prepared.ready))
        if self._without_harm(moment, lambda: self.judge(prepared.ready)):
            self._judged = prepared.number
            await self._save(connection, token)

    def committed(self, prepared: Prepared) -> None:
        del prepared
        if self._has_news:
            self._has_news = False
            self._told()

    def forget(self) -> None:
        self._token = None
        self._prepared = self._judged = 0

    # the clock
    async def run(self) -> None:
        """For ever."""
        await self._rules_known.wait()
        while True:
            try:
                if self._token is None or not self.idle():
                    await self._tick()
            except (*AWAY, Unavailable, ApiError) as error:
                self._token = None
                _log.warning("alerts wait", feed=self.name, error=repr(error))
            await asyncio.sleep(TICK_S)

    async def _tick(self) -> None:
        projector = self._projector
        if projector is None or projector.place is None:
            return
        stream = await jetstream.stream_state(self._client, projector.stream)
        async with self._pool.acquire() as connection, connection.transaction():
            token = await store.lock(connection, self.name)
            now = await read(connection, self.name)
            if now is None or not _same(now, projector.place):
                return  # a batch is on its way, or another replica is at work
            moment = reached(now, stream)
            if moment is None:
                return
            if token != self._token:
                await self._load(connection)
            await self.learn(connection)
            if self._without_harm(moment, lambda: self._board.tick(moment)):
                await self._save(connection, token)
        self.committed(Prepared(0, 0, None, False))

    # both
    def _without_harm(self, moment: datetime, judge: Callable[[], None]) -> bool:
        """False where it failed, by a defect of ours: that costs alerts, and must not cost readings."""
        try:
            self._board.follow_rules(moment)
            judge()
        except Exception:  # noqa: BLE001  # whatever it is
            _log.exception("alerts cannot be judged", feed=self.name)
            self.forget()
            return False
        return True

    async def _load(self, connection: Session) -> None:
        self._board.load(await store.states(connection, self.name))

    async def _save(self, connection: Session, token: int) -> None:
        changes = self._board.changes()
        self._token = token
        if changes:
            self._token = None  # until it is known what stands there
            self._has_news |= bool(changes.transitions)
            self._token = await store.save(connection, self.name, changes)


def _same(one: Checkpoint, other: Checkpoint | None) -> bool:
    return other is not None and (one.epoch, one.sequence) == (other.epoch, other.sequence)


def reached(place: Checkpoint, stream: jetstream.StreamState) -> datetime | None:
    """The moment up to which everything in the log was read; None where nothing was."""
    if place.sequence >= stream.last and stream.now is not None:
        return stream.now
    return None if place.time_ns is None else parting.moment(place.time_ns)


class MessageFeed(Feed[MessageBoard, messages.Ready]):
    name = "messages"

    def concerns(self, ready: messages.Ready) -> bool:
        return self._board.concerns(ready.batch)

    def judge(self, ready: messages.Ready) -> None:
        self._board.judge(ready.batch)

    def moment(self, ready: messages.Ready) -> datetime:
        return ready.batch.messages[-1].received

    def idle(self) -> bool:
        return not self._board.rules.of_messages and not any(self._board.states())

    async def learn(self, connection: Session) -> None:
        for organization in self._board.unknown():
            self._board.learn(organization, *await store.devices(connection, organization))

    async def _load(self, connection: Session) -> None:
        self._board.forget_devices()
        await super()._load(connection)


class ActivityFeed(Feed[ActivityBoard, activity.Ready]):
    name = "activity"

    def concerns(self, ready: activity.Ready) -> bool:
        return self._board.concerns(each.event.kind for each in ready.events)

    def judge(self, ready: activity.Ready) -> None:
        for each in ready.events:
            self._board.judge(each.organization, each.event, each.recorded.time)

    def moment(self, ready: activity.Ready) -> datetime:
        return ready.events[-1].recorded.time

    def idle(self) -> bool:
        return not any(self._board.states())
