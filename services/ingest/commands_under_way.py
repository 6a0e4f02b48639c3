"""The commands to devices that are under way, as the log says. No I/O."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.device_command_state import DeviceCommand, evolve
from contracts.device_commands import DeviceCommandQueued
from contracts.envelope import Recorded
from services.ingest.commands_log import CommandKey
from services.ingest.links import Key

Topic = tuple[Key, str]


@dataclass(slots=True)
class Tracked:
    key: CommandKey
    held: DeviceCommand  # without its payload
    stored_at: datetime  # by the log's clock
    is_answered: bool = False  # its answer was heard, and is being recorded

    @property
    def link(self) -> Key:
        return Key(self.key.organization, self.held.queued.integration_id)

    @property
    def topic(self) -> Topic:
        """Where its answer is looked for."""
        return self.link, self.held.queued.response_topic


class UnderWay:
    def __init__(self) -> None:
        self._all: dict[CommandKey, Tracked] = {}
        self._waiting: defaultdict[Topic, dict[CommandKey, Tracked]] = defaultdict(dict)  # oldest first
        self._due: list[tuple[datetime, CommandKey]] = []
        self._of_organization: Counter[str] = Counter()

    def take(self, key: CommandKey, recorded: Recorded, stored_at: datetime) -> Tracked | None:
        """The command with this event in it; None for one that is not known (any more)."""
        if isinstance(recorded.event, DeviceCommandQueued):  # memory is for many
            recorded = replace(recorded, event=recorded.event.model_copy(update={"payload": ""}))
        tracked = self._all.get(key)
        held = evolve(tracked.held if tracked else None, recorded)
        if held is None:
            return None
        if tracked is not None:
            tracked.held = held
            return tracked
        tracked = self._all[key] = Tracked(key, held, stored_at)
        self._waiting[tracked.topic][key] = tracked
        self._of_organization[key.organization] += 1
        self.look_again(tracked, held.expires_at)
        return tracked

    def forget(self, tracked: Tracked) -> bool:
        """Whether its answer's topic is free of others, too."""
        if self._all.pop(tracked.key, None) is not None:
            self._of_organization[tracked.key.organization] -= 1
            self._of_organization += Counter()  # without those that have none
        waiting = self._waiting[tracked.topic]
        waiting.pop(tracked.key, None)
        if not waiting:
            del self._waiting[tracked.topic]
        return not waiting

    def waiting(self, topic: Topic) -> list[Tracked]:
        """Those whose answer would come there, the oldest first."""
        held = self._waiting[topic].values() if topic in self._waiting else ()
        return [tracked for tracked in held if not tracked.is_answered]

    def due(self, now: datetime) -> list[Tracked]:
        """Those whose time has come; each is to be forgotten, or looked at again."""
        found: list[Tracked] = []
        while self._due and self._due[0][0] <= now:
            if (tracked := self._all.get(heapq.heappop(self._due)[1])) is not None:
                found.append(tracked)
        return found

    def look_again(self, tracked: Tracked, at: datetime) -> None:
        heapq.heappush(self._due, (at, tracked.key))

    def unacknowledged(self, now: datetime, for_longer_than: timedelta) -> Iterable[Tracked]:
        """Sent, and nothing was heard of it since: whoever sent it may be gone."""
        return [
            tracked
            for tracked in self._all.values()
            if tracked.held.state == "sent"
            and tracked.held.sent_at is not None
            and now - tracked.held.sent_at > for_longer_than
        ]

    def all(self) -> list[Tracked]:
        return list(self._all.values())

    def count(self, organization: str) -> int:
        return self._of_organization[organization]
