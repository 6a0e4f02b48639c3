"""A link's subscriptions in the session that its broker holds, and what the broker says of drops beside them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from contracts.failures import Unavailable
from services.ingest import broker_drops
from services.ingest.broker_drops import DROPPED, BrokerDrops
from services.ingest.frames import Incoming
from services.ingest.links import Wanted
from services.ingest.session import Session

SAID_MAX = 20  # filters


class Subscribed:
    """Lives as long as its link is known to this process."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}  # with the broker's reason
        self.drops = BrokerDrops()
        self._held: frozenset[str] | None = None  # by this process, in the session that the broker holds
        self._asks_for_drops = False
        self._tells = True
        self._granted: dict[str, tuple[int, datetime]] = {}  # by filter: QoS, and since when

    def qos(self, filter: str) -> int | None:
        """What the broker grants."""
        return self._granted[filter][0] if filter in self._granted else None

    def since(self, filter: str) -> datetime | None:
        """Since when it grants it to this process."""
        return self._granted[filter][1] if filter in self._granted else None

    @property
    def granted(self) -> dict[str, int]:
        """QoS by filter."""
        return {filter: qos for filter, (qos, _) in self._granted.items()}

    def news(self, before: dict[str, int]) -> tuple[str, None, dict[str, Any]] | None:
        """What is granted otherwise than before, in words, without a code, with details; None: nothing."""
        now = self.granted
        added = sorted(filter for filter in now if before.get(filter) != now[filter])
        removed = sorted(before.keys() - now.keys())
        if not added and not removed:
            return None
        said = [f"+ {filter}" for filter in added] + [f"- {filter}" for filter in removed]
        details = {"granted": len(now), "added": added[:SAID_MAX], "removed": removed[:SAID_MAX]}
        return ", ".join(said[:3])[:300], None, details

    async def bring(self, session: Session, wanted: Wanted) -> None:
        """Makes them what is wanted. Raises what `Session.subscribe` raises.

        At every connection anew: a broker that crashed may have kept the session and lost a subscription.
        """
        now = frozenset(topic.filter for topic in wanted.topics)
        self._asks_for_drops = self._tells and broker_drops.asked(wanted.settings, wanted.topics)
        failures = await session.subscribe(wanted.topics)
        before = wanted.formerly if self._held is None else self._held
        await session.unsubscribe(sorted(before - now))
        self._held = now
        if self._asks_for_drops:
            await self._ask_for_drops(session)
        said = zip(wanted.topics, failures, strict=True)
        self.refused = {topic.filter: why for topic, why in said if why is not None}
        at, codes = datetime.now(UTC), session.granted
        self._granted = {
            filter: (codes[filter], self.since(filter) or at)
            for filter in now
            if filter in codes and filter not in self.refused
        }

    async def _ask_for_drops(self, session: Session) -> None:
        """Where it is refused, the broker does not tell; one that hangs up at it is not asked again."""
        try:
            await session.subscribe((DROPPED,))
        except Unavailable:
            self._tells = False
            raise

    def sift(self, chunk: list[Incoming]) -> tuple[list[Incoming], int]:
        """Messages without the broker's own count, and how many it has dropped since it said the last one."""
        if not self._asks_for_drops or all(message.topic != DROPPED.filter for message in chunk):
            return chunk, 0
        said = [message for message in chunk if message.topic == DROPPED.filter]
        dropped = sum(self.drops.said(message, time.monotonic()) for message in said)
        return [message for message in chunk if message.topic != DROPPED.filter], dropped
