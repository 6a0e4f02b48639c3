"""This process among the replicas of ingest: says that it is alive, and sees which others are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from nats.aio.client import Client

from contracts import subjects
from contracts.failures import Unavailable
from contracts.streams import REPLICAS_BUCKET
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.kv import Bucket
from runtime.observe import log

_log = log(part="replicas")
RENEW_S = 0.75
ANSWER_S = 0.75
HEARD_S = 2.5  # below the bucket's 3 s: we know that we count as dead before the others do
STEADY_S = 2.0  # after an outage of the log, all that live have said so within this time
GONE = b"gone"


class Replicas:
    """`run()` is its task; `alive` and `others` are what it saw last."""

    def __init__(self, client: Client) -> None:
        self.me = f"ingest-{os.urandom(6).hex()}"
        self.others: Mapping[str, float] = {}  # since when each has been seen, by the loop's clock
        self._client = client
        self._bucket = Bucket(client, REPLICAS_BUCKET, timeout_s=ANSWER_S)
        self._heard = self._away_until = -HEARD_S
        self._silent = False

    @property
    def alive(self) -> bool:
        """Whether the others must take us for alive: by our own clock, which goes on while we are frozen."""
        return asyncio.get_running_loop().time() - self._heard < HEARD_S

    @property
    def trusted(self) -> bool:
        """Whether who is not seen is dead: not so while the log was away a moment ago."""
        return asyncio.get_running_loop().time() - self._away_until >= STEADY_S

    async def run(self) -> None:
        """Until cancelled; then the others know at once."""
        _log.info("a replica", id=self.me)
        self._away_until = asyncio.get_running_loop().time()
        try:
            while True:
                try:
                    await self._say(b"alive")
                    await self._look()
                except (ApiError, Unavailable) as failure:
                    self._away(str(failure))
                else:
                    self._silent = False
                await asyncio.sleep(RENEW_S)
        finally:
            try:
                await self._say(GONE)
            except (ApiError, Unavailable) as failure:
                _log.info("the other replicas find out by themselves that this one ends", reason=str(failure))

    async def _say(self, what: bytes) -> None:
        now = asyncio.get_running_loop().time()
        await jetstream.request(self._client, subjects.replica(self.me), what, timeout_s=ANSWER_S)
        self._heard = now

    async def _look(self) -> None:
        entries = await self._bucket.page(0)
        now = asyncio.get_running_loop().time()
        there = {id for id, value in entries if value.data != GONE and id != self.me}
        self.others = {id: self.others.get(id, now) for id in there}

    def _away(self, reason: str) -> None:
        self._away_until = asyncio.get_running_loop().time()
        if not self._silent:  # once: an outage is one line
            _log.warning("the log does not hear that this replica is alive", reason=reason)
        self._silent = True
