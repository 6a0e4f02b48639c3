"""Presence as it stands, looked at every second: it is made of two logs, by two projections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from nats.aio.client import Client

from contracts.failures import Unavailable
from contracts.streams import ACTIVITY, MESSAGES
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from services.telemetry.alerting import store
from services.telemetry.alerting.feed import TICK_S, reached
from services.telemetry.alerting.of_presence import PresenceBoard
from services.telemetry.checkpoints import Session, read
from services.telemetry.database import AWAY
from services.telemetry.presence import Word

_log = log(part="alerts")
_FEED: store.FeedName = "presence"
BACK = timedelta(
    minutes=10
)  # a word is stored no later than this after it was said, or waits for a look at all
ALL_EVERY = 60  # looks
_WORDS = (
    "SELECT o.name AS organization, d.name AS device, p.online, p.since, p.why, p.at"
    " FROM presence p JOIN organizations o ON o.id = p.organization JOIN devices d ON d.id = p.device"
    " WHERE o.name = ANY($1) AND p.at > $2"
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_LOGS = (("messages", MESSAGES.name), ("activity", ACTIVITY.name))


class PresenceFeed:
    """`run()` is its task; of several replicas each looks, and one at a time writes."""

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        board: PresenceBoard,
        ready: asyncio.Event,
        told: Callable[[], None],
    ) -> None:
        self._client, self._pool, self._board, self._told = client, pool, board, told
        self._rules_known = ready
        self._token: int | None = None
        self._looks = 0
        self._rules = -1

    async def run(self) -> None:
        """For ever."""
        await self._rules_known.wait()
        while True:
            try:
                if self._token is None or self._board.rules.offline or any(self._board.states()):
                    await self._look()
            except (*AWAY, Unavailable, ApiError) as error:
                self._token = None
                _log.warning("alerts wait", feed=_FEED, error=repr(error))
            await asyncio.sleep(TICK_S)

    async def _look(self) -> None:
        streams = [await jetstream.stream_state(self._client, stream) for _, stream in _LOGS]
        async with self._pool.acquire() as connection, connection.transaction():
            token = await store.lock(connection, _FEED)
            now = await self._reached(connection, streams)
            if now is None:
                return
            if token != self._token:
                self._board.load(await store.states(connection, _FEED))
                self._looks = 0
            if self._board.rules.version != self._rules:
                self._rules, self._looks = self._board.rules.version, 0
            self._board.follow_rules(now)
            since = _LONG_AGO if self._looks % ALL_EVERY == 0 else now - BACK
            self._looks += 1
            for row in await connection.fetch(_WORDS, list(self._board.rules.offline), since):
                word = Word(row["online"], row["since"], row["why"], row["at"])
                self._board.judge(row["organization"], row["device"], word)
            self._board.tick(now)
            changes = self._board.changes()
            self._token = None  # until it is known what stands there
            new_token = await store.save(connection, _FEED, changes) if changes else token
        self._token = new_token
        if changes.transitions:
            self._told()

    async def _reached(
        self, connection: Session, streams: Sequence[jetstream.StreamState]
    ) -> datetime | None:
        """By both logs."""
        moments = []
        for (projection, _), stream in zip(_LOGS, streams, strict=True):
            place = await read(connection, projection)
            moments.append(None if place is None else reached(place, stream))
        known = [moment for moment in moments if moment is not None]
        return min(known) if len(known) == len(moments) else None
