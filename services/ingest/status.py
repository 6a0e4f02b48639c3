"""What a link says of itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from contracts.links import LinkStatus, LinkSubscription
from services.ingest.findings import NEXT
from services.ingest.link import Link


def status_of(link: Link, owner: str) -> LinkStatus:
    now = time.time()
    tally, watchdog, condition, bridge = link.flow.tally, link.flow.watchdog, link.condition, link.bridge
    expected = watchdog.expected_s
    return LinkStatus(
        integration_id=link.wanted.key.integration,
        state=condition.state,
        reason=condition.code,
        detail=condition.detail,
        next_action=NEXT.get(condition.code or ""),
        since=condition.since,
        owner=owner,
        connected_since=link.connected_since,
        next_try_at=link.next_try_at,
        last_message_at=_moment(tally.last_message_at),
        rate_in_per_s=round(tally.rate_in.at(now), 3),
        rate_out_per_s=round(tally.rate_out.at(now), 3),
        expected_interval_s=None if expected is None else round(expected, 3),
        expected_interval_from=_expected_from(watchdog.given_s, expected),
        messages_in=tally.messages_in,
        bytes_in=tally.bytes_in,
        messages_out=tally.messages_out,
        in_flight=bridge.under_way if bridge else 0,
        held_back=bridge.held_back if bridge else False,
        duplicates=tally.duplicates,
        retained=tally.retained,
        dropped=tally.dropped,
        dropped_by_broker=link.subscribed.drops.total,
        reconnects=max(tally.connects - 1, 0),
        last_errors=tuple(tally.errors),
        subscriptions=_subscriptions(link),
        minutes=tally.last_hour(now),
    )


def _subscriptions(link: Link) -> tuple[LinkSubscription, ...]:
    return tuple(
        LinkSubscription(
            filter=topic.filter,
            qos=topic.qos,
            granted_qos=link.subscribed.qos(topic.filter),
            since=link.subscribed.since(topic.filter),
            refused=link.subscribed.refused.get(topic.filter),
            messages=counted.messages,
            last_message_at=_moment(counted.last_at),
        )
        for topic in link.wanted.topics
        if (counted := link.flow.tally.filters.get(topic.filter)) is not None
    )


def _expected_from(given: float | None, expected: float | None) -> Literal["given", "learnt"] | None:
    if given is not None:
        return "given"
    return None if expected is None else "learnt"


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, tz=UTC)
