"""Orders to decode history again, as the REGISTRY has them: which messages are read by another decoder."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from contracts.decoders.choice import Choice, chosen
from contracts.envelope import Event
from contracts.integrations import DecoderChoice
from contracts.redecode import RedecodeEnded, RedecodeOrdered, RetryOrdered, sources_of, span


class Order(NamedTuple):
    """Of messages that were stored from `start_ns` on and before `end_ns`."""

    id: str
    organization: str
    integration: str
    start: datetime
    end: datetime
    start_ns: int
    end_ns: int
    wanted: DecoderChoice
    choice: Choice
    ordered_at: datetime
    through_ns: int | None = None  # where it was cancelled: the last message that it came to
    ended: bool = False
    only: dict[int, int] | None = None  # a retry: sequences of these messages, by when each was stored

    def covers(self, at_ns: int) -> bool:
        if self.through_ns is not None and at_ns > self.through_ns:
            return False
        if self.only is not None:
            return at_ns in self.only
        return self.start_ns <= at_ns < self.end_ns

    def concerns(self, subject: str) -> bool:
        """Whether a message of this subject is the organization's, and from one of the sources."""
        kind, _, organization, source, *_ = [*subject.split(".", 4), "", "", ""]
        return kind == "message" and organization == self.organization and source in self.sources

    @property
    def sources(self) -> tuple[str, ...]:
        return sources_of(self.integration)


class Orders:
    """Of two that cover a message, the later one counts."""

    def __init__(self) -> None:
        self._by_id: dict[str, Order] = {}
        self._by_source: dict[tuple[str, str], list[str]] = {}  # ids, newest first
        self.stateful = False

    def apply(self, organization: str, id: str, event: Event, at: datetime) -> Order | None:
        """The order as it stands after the event. Raises as `chosen`."""
        if isinstance(event, RedecodeEnded) and (held := self._by_id.get(id)) is not None:
            nothing = 0 if event.outcome != "done" and event.through_ns is None else event.through_ns
            self._by_id[id] = held._replace(ended=True, through_ns=nothing)
            return self._by_id[id]
        if not isinstance(event, RedecodeOrdered | RetryOrdered):
            return None
        order = new_order(id, organization, event, at)
        if id not in self._by_id:
            for source in order.sources:
                self._by_source.setdefault((organization, source), []).insert(0, id)
        self._by_id[id] = order
        self.stateful |= order.choice.stateful is not None
        return order

    def choose(self, organization: str, source: str, at_ns: int, otherwise: Choice) -> Choice:
        for id in self._by_source.get((organization, source), ()):
            if self._by_id[id].covers(at_ns):
                return self._by_id[id].choice._replace(prefix=otherwise.prefix)
        return otherwise

    def all(self) -> list[Order]:
        return list(self._by_id.values())


def new_order(id: str, organization: str, event: RedecodeOrdered | RetryOrdered, at: datetime) -> Order:
    """Raises Unprocessable or pydantic's ValidationError for a decoder that cannot be had."""
    only = None
    if isinstance(event, RetryOrdered):
        only = {stored_ns: sequence for sequence, stored_ns in event.messages}
        start, end = span(event.messages)
    else:
        start, end = event.start, event.end
    return Order(
        id,
        organization,
        event.integration,
        start,
        end,
        nanoseconds(start),
        nanoseconds(end),
        event.decoder,
        chosen(event.decoder),
        at,
        only=only,
    )


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
