"""One owner per link among replicas: an entry in a bucket that is gone by itself when its owner dies."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.failures import Unavailable
from contracts.streams import LEASES
from runtime import jetstream
from runtime.event_log import EXPECTED_LAST
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError
from runtime.observe import log

_log = log(part="lease")
RENEW_S = 3.0
LOST_S = 8.0  # below the bucket's 10 s: the old owner stops before a new one can begin
RETRY_S = 1.0
RELEASED = b"released"


@dataclass(slots=True)
class Lease:
    """`owner` is this process and no other, ever."""

    client: Client
    organization: str
    integration: str
    owner: bytes
    _sequence: int = 0
    _held_until: float = 0.0  # by the loop's clock

    @property
    def held(self) -> bool:
        """By our own clock, which goes on while this process is frozen."""
        return asyncio.get_running_loop().time() < self._held_until

    @property
    def _subject(self) -> str:
        return subjects.lease(self.organization, self.integration)

    async def acquire(self) -> None:
        """Returns when the lease is ours."""
        while True:
            try:
                held = await self._held()
                if held is None or held[0] in (RELEASED, self.owner):
                    await self._put(self.owner, 0 if held is None else held[1])
                    return
            except (ApiError, Unavailable):
                pass  # another was quicker, or the log is away: ask again
            await asyncio.sleep(RETRY_S)

    async def keep(self) -> str:
        """Renews the lease until it is lost; says why it is."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(RENEW_S if clock() - renewed < RENEW_S else RETRY_S)
            asked = clock()
            try:
                await self._put(self.owner, self._sequence)
                renewed = asked
            except ApiError as error:
                if error.code in WRONG_LAST_SEQUENCE and not await self._is_ours():
                    return "another replica owns the link"
            except Unavailable as failure:
                _log.warning("a lease is not renewed", subject=self._subject, reason=failure.detail)
            if clock() - renewed > LOST_S - RENEW_S:
                return "the event log is away"

    async def release(self) -> None:
        """Lets another begin at once; where this fails, the entry's age does it."""
        try:
            await self._put(RELEASED, self._sequence)
        except (ApiError, Unavailable):
            return

    async def _put(self, value: bytes, expected: int) -> None:
        headers = {EXPECTED_LAST: str(expected)}
        asked = asyncio.get_running_loop().time()
        answer = await jetstream.request(self.client, self._subject, value, headers=headers, timeout_s=1.0)
        self._sequence = int(answer["seq"])
        self._held_until = asked + LOST_S if value == self.owner else 0.0

    async def _is_ours(self) -> bool:
        """After a refused renewal: an acknowledgement may have been lost."""
        try:
            held = await self._held()
            if held is not None and held[0] != self.owner:
                return False
            await self._put(self.owner, 0 if held is None else held[1])
        except ApiError:
            return False
        except Unavailable:
            return True  # not known; the clock decides
        return True

    async def _held(self) -> tuple[bytes, int] | None:
        try:
            message = await self.client.request(
                f"$JS.API.DIRECT.GET.{LEASES.name}",
                json.dumps({"last_by_subj": self._subject}).encode(),
                timeout=1.0,
            )
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("log.unavailable", f"reading {self._subject}: {error!r}") from error
        headers = message.headers or {}
        if "Status" in headers:
            if headers["Status"] != "404":
                raise Unavailable("log.unavailable", f"reading {self._subject}: {headers}")
            return None
        return message.data, int(headers["Nats-Sequence"])
