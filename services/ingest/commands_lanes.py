"""Who is sent to next: in order for each device, some devices of a link at a time, and no link waits for another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from runtime.observe import log
from services.ingest.commands_log import CommandKey
from services.ingest.links import Key

_log = log(part="commands")
DEVICES_AT_ONCE = 16  # of a link: payloads in memory, and acknowledgements awaited

Send = Callable[[Key, CommandKey], Awaitable[bool]]
"""False where it cannot be sent now: it stays the first of its device."""


class _Lane:
    """Of one link."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[CommandKey]] = {}  # by device
        self.ready: deque[str] = deque()  # devices that wait and are not at work
        self.busy: set[str] = set()


class Lanes:
    def __init__(self, send: Send, is_open: Callable[[Key], bool]) -> None:
        self._send, self._is_open = send, is_open
        self._lanes: dict[Key, _Lane] = {}
        self._held: set[CommandKey] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, command: CommandKey) -> bool:
        """Whether it waits here, or is on its way."""
        return command in self._held

    def put(self, link: Key, device: str, command: CommandKey) -> None:
        if command in self._held:
            return
        self._held.add(command)
        lane = self._lanes.setdefault(link, _Lane())
        if device not in lane.waiting:
            lane.waiting[device] = deque()
            lane.ready.append(device)
        lane.waiting[device].append(command)
        self._pump(link, lane)

    def pump(self) -> None:
        """To be called now and then: a link that was away may be there."""
        for link, lane in list(self._lanes.items()):
            self._pump(link, lane)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pump(self, link: Key, lane: _Lane) -> None:
        while lane.ready and len(lane.busy) < DEVICES_AT_ONCE and self._is_open(link):
            device = lane.ready.popleft()
            lane.busy.add(device)
            task = asyncio.create_task(self._work(link, lane, device))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not lane.waiting:
            self._lanes.pop(link, None)

    async def _work(self, link: Key, lane: _Lane, device: str) -> None:
        """All that waits for one device, until it is done or the link is away."""
        waiting = lane.waiting[device]
        try:
            while waiting and self._is_open(link):
                if not await self._send(link, waiting[0]):
                    break
                self._held.discard(waiting.popleft())
        except Exception:  # noqa: BLE001 — a defect: it is tried again until it expires, and others go on
            _log.exception("a command could not be sent", command=waiting[0].id)
        finally:
            lane.busy.discard(device)
            if waiting:
                lane.ready.appendleft(device)
            else:
                del lane.waiting[device]
        if not waiting:
            self._pump(link, lane)
