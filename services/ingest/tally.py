"""What a link took and sent: totals, rates, the last hour by minutes, each filter's share. Pure; bounded."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.links import LinkError, LinkMinute
from contracts.topics import TOPIC_BYTES_MAX, matches

RATE_OVER_S = 30.0
MINUTES = 60
ERRORS = 10
TOPICS_MAX = 8_192  # whose filters are remembered


@dataclass(slots=True)
class Rate:
    """Events a second, the newest counting most (a time constant of `RATE_OVER_S`)."""

    _value: float = 0.0
    _at: float = 0.0

    def add(self, count: int, now: float) -> None:
        self._value, self._at = self.at(now) + count / RATE_OVER_S, now

    def at(self, now: float) -> float:
        return self._value * math.exp(-max(now - self._at, 0.0) / RATE_OVER_S)


@dataclass(slots=True)
class FilterTally:
    messages: int = 0
    last_at: float | None = None  # Unix time


@dataclass(slots=True)
class Minute:
    number: int  # since 1970
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    errors: int = 0


@dataclass(slots=True)
class Tally:
    """Of one process's time with the link; all times are Unix times."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    retained: int = 0
    duplicates: int = 0
    dropped: int = 0
    connects: int = 0
    last_message_at: float | None = None
    rate_in: Rate = field(default_factory=Rate)
    rate_out: Rate = field(default_factory=Rate)
    filters: dict[str, FilterTally] = field(default_factory=dict)
    minutes: deque[Minute] = field(default_factory=lambda: deque(maxlen=MINUTES))
    errors: deque[LinkError] = field(default_factory=lambda: deque(maxlen=ERRORS))
    _of_topic: dict[str, tuple[FilterTally, ...]] = field(default_factory=dict)

    def watch(self, filters: Iterable[str]) -> None:
        """Counts by these filters from now on; those that stay go on counting."""
        self.filters = {each: self.filters.get(each) or FilterTally() for each in filters}
        self._of_topic.clear()

    def took(self, topics: Iterable[str], size: int, now: float) -> None:
        """Messages that came together, with all their payloads' bytes."""
        counted = Counter(topics)
        number = counted.total()
        self.messages_in += number
        self.bytes_in += size
        self.last_message_at = now
        self.rate_in.add(number, now)
        minute = self._minute(now)
        minute.messages_in += number
        minute.bytes_in += size
        for topic, count in counted.items():
            for matching in self._of_topic.get(topic) or self._match(topic):
                matching.messages += count
                matching.last_at = now

    def sent(self, now: float) -> None:
        self.messages_out += 1
        self.rate_out.add(1, now)
        self._minute(now).messages_out += 1

    def failed(self, code: str, detail: str, at: datetime) -> None:
        """The same failure again takes its place: ten tries of one kind do not push another out."""
        if self.errors and self.errors[-1].code == code:
            before = self.errors.pop()
            self.errors.append(LinkError(at=at, code=code, detail=detail, times=before.times + 1))
        else:
            self.errors.append(LinkError(at=at, code=code, detail=detail, times=1))
        self._minute(at.timestamp()).errors += 1

    def last_hour(self, now: float) -> tuple[LinkMinute, ...]:
        """Minutes in which something was, the oldest first."""
        first = int(now // 60) - MINUTES + 1
        return tuple(
            LinkMinute(
                at=datetime.fromtimestamp(each.number * 60, tz=UTC),
                messages_in=each.messages_in,
                bytes_in=each.bytes_in,
                messages_out=each.messages_out,
                errors=each.errors,
            )
            for each in self.minutes
            if each.number >= first
        )

    def _minute(self, now: float) -> Minute:
        number = int(now // 60)
        if not self.minutes or self.minutes[-1].number < number:
            self.minutes.append(Minute(number))
        return self.minutes[-1]

    def _match(self, topic: str) -> tuple[FilterTally, ...]:
        found = tuple(held for filter, held in self.filters.items() if matches(unshared(filter), topic))
        if len(self._of_topic) >= TOPICS_MAX:
            self._of_topic.clear()
        if len(topic) <= TOPIC_BYTES_MAX:
            self._of_topic[topic] = found
        return found


def unshared(filter: str) -> str:
    """Of a shared subscription (5 §4.8.2) the filter that topics are matched by."""
    return filter.split("/", 2)[2] if filter.startswith("$share/") else filter
