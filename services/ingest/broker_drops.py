"""What a broker says it dropped, where it says so ($SYS, as Mosquitto and others publish it). Pure.

The count is of all its clients, and begins anew with the broker. It is asked for only where no filter of the
integration asks for it already, and never at brokers that hang up on a filter they do not know.
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.broker_providers import AwsIotSettings, AzureIotSettings
from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.topics import matches
from services.ingest.frames import Incoming
from services.ingest.tally import unshared

DROPPED = TopicFilter(filter="$SYS/broker/publish/messages/dropped", qos=0)
CALM_S = 120.0  # after the last drop: Mosquitto says the count every 10 s, when it has changed


def asked(settings: BrokerSettings, topics: Iterable[TopicFilter]) -> bool:
    """Whether we ask for the count, beside what the integration wants."""
    if isinstance(settings, AwsIotSettings | AzureIotSettings):
        return False
    return not any(matches(unshared(topic.filter), DROPPED.filter) for topic in topics)


class BrokerDrops:
    """What came of the count, over all connections."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._last_drop: float | None = None

    def said(self, message: Incoming, now: float) -> int:
        """How many were dropped since the count was said before; the first time none, it may be old."""
        try:
            count = int(message.payload or b"")
        except ValueError:
            return 0
        before, self.total = self.total, count
        dropped = 0 if before is None else count - before if count >= before else count
        if dropped:
            self._last_drop = now
        return dropped

    def calm(self, now: float) -> bool:
        """Nothing was dropped for a while."""
        return self._last_drop is None or now - self._last_drop >= CALM_S
