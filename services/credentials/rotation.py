"""Rotation of the key-encryption key: wraps every data key with the current one, while everything runs.

Each entry is put with its expected revision, so a rotation loses to whoever writes at the same time, and looks
again. Killed anywhere, it begins anew and finds what is left; any number of replicas may rotate at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contracts.activity import ActivityRecorded
from contracts.failures import Unavailable, Unprocessable
from contracts.key_rotation import GetRotation, RotateSecrets, Rotation
from contracts.organizations import PLATFORM
from runtime.activity import ActivityLog
from runtime.kv import Bucket, Value
from runtime.observe import log, meter
from services.credentials.handlers import platform_only
from services.credentials.keyring import Key
from services.credentials.sealing import Sealing

_log = log(part="rotation")
_rewrapped = meter.create_counter("hybridmq.secrets.rewrapped", description="Data keys wrapped anew")
_left = meter.create_gauge("hybridmq.secrets.left", description="Data keys that an older key still wraps")
_unreadable = meter.create_gauge("hybridmq.secrets.unreadable", description="Secrets that no key here opens")
PARALLEL = 64  # puts under way: the server's rate is reached, and nobody else's put waits long
PASSES_MAX = 5  # more are needed only while a replica still writes with an older key
RETRY_S = 2.0
ANSWER_S = 10.0  # a command waits no longer; the work goes on


class Place(NamedTuple):
    """A bucket of sealed entries, and what each of its keys is sealed to."""

    bucket: Bucket
    context: Callable[[str], tuple[str, ...]]


@dataclass(slots=True)
class Count:
    left: int = 0
    unreadable: int = 0


class Rotator:
    """`run()` is its task: once at the start, and whenever somebody asks."""

    def __init__(self, keys: Sequence[Key], sealing: Sealing, places: Sequence[Place]) -> None:
        self._keys = tuple(key.id for key in keys)
        self._sealing, self._places = sealing, places
        self._total = 0
        self._wanted = asyncio.Event()
        self._finished = asyncio.Event()
        self._wanted.set()

    @property
    def running(self) -> bool:
        return not self._finished.is_set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._finished.clear()
            try:
                await self.rotate()
            except Unavailable as error:
                _log.warning("secrets cannot be wrapped anew now", error=error.detail)
                self._wanted.set()
                await asyncio.sleep(RETRY_S)
            else:
                self._finished.set()

    async def ask(self, *, timeout_s: float = ANSWER_S) -> None:
        """Rotates what is left now; returns when that is done, or after `timeout_s`."""
        self._finished.clear()
        self._wanted.set()
        try:
            await asyncio.wait_for(self._finished.wait(), timeout_s)
        except TimeoutError:
            return

    async def rotate(self) -> Count:
        """Passes over all places until nothing is left, or nothing more can be done. Raises Unavailable."""
        for _ in range(PASSES_MAX):
            before = self._total
            for place in self._places:
                await self._pass(place)
            count = await self.count()
            if count.left == 0 or self._total == before:
                break
        if self._total or count.left or count.unreadable:
            _log.info("secrets wrapped anew", rewrapped=self._total, left=count.left, key=self._keys[0])
        if count.unreadable:
            _log.error("secrets cannot be opened with the keys that are here", count=count.unreadable)
        return count

    async def count(self) -> Count:
        """What is left now, over all places. Raises Unavailable."""
        count = Count()
        for place in self._places:
            after = 0
            while page := await place.bucket.page(after):
                after = page[-1][1].revision
                for key, value in page:
                    self._look(place, key, value, count)
        _left.set(count.left)
        _unreadable.set(count.unreadable)
        return count

    async def state(self) -> Rotation:
        count = await self.count()
        return Rotation(
            current=self._keys[0],
            keys=self._keys,
            rewrapped=self._total,
            left=count.left,
            unreadable=count.unreadable,
            running=self.running,
        )

    def _look(self, place: Place, key: str, value: Value, count: Count) -> None:
        if self._sealing.is_current(value.data):
            return
        try:
            self._sealing.open(value.data, place.context(key))
        except Unprocessable:
            count.unreadable += 1
        else:
            count.left += 1

    async def _pass(self, place: Place) -> None:
        after = 0
        while page := await place.bucket.page(after):
            after = page[-1][1].revision
            stale = [(key, value) for key, value in page if not self._sealing.is_current(value.data)]
            for start in range(0, len(stale), PARALLEL):
                some = stale[start : start + PARALLEL]
                await asyncio.gather(*(self._rewrap(place, key, value) for key, value in some))
            if stale:
                _log.info("wrapping secrets anew", rewrapped=self._total)

    async def _rewrap(self, place: Place, key: str, value: Value) -> None:
        try:
            sealed = self._sealing.rewrap(value.data, place.context(key))
        except Unprocessable:
            return  # counted afterwards
        if await place.bucket.put(key, sealed, expected=value.revision) is not None:
            self._total += 1
            _rewrapped.add(1)


class RotationHandlers:
    """The operator's calls."""

    def __init__(self, rotator: Rotator, activity: ActivityLog) -> None:
        self._rotator, self._activity = rotator, activity

    async def rotate(self, request: RotateSecrets) -> Rotation:
        """Answers when nothing is left, or with how far it came in ten seconds; asking again is harmless."""
        platform_only(request)
        await self._rotator.ask()
        state = await self._rotator.state()
        event = ActivityRecorded(
            kind="secrets.rotated",
            status="failed" if state.left or state.unreadable else "ok",
            summary=f"wrapped by {state.current}: {state.left} left, {state.unreadable} unreadable",
            details={"key": state.current, "left": state.left, "unreadable": state.unreadable},
        )
        self._activity.note(PLATFORM, event, request.actor)
        return state

    async def state(self, request: GetRotation) -> Rotation:
        platform_only(request)
        return await self._rotator.state()
