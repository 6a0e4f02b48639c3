"""Connects, refusals, errors and states of links, counted as they are stored: follows the activity's projection."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from contracts.activity import ActivityRecorded
from contracts.subjects import HOSTED
from services.telemetry.activity import Event, Ready
from services.telemetry.connections import KINDS as OF_CONNECTIONS
from services.telemetry.erased import Erased
from services.telemetry.place import Checkpoint
from services.telemetry.stats.counting import (
    ALL,
    CREDENTIAL,
    DEVICE,
    INTEGRATION,
    ORGANIZATION,
    Cells,
    Counts,
    add,
    with_hours,
)

COUNTERS = (
    "messages",
    "bytes",
    "errors",
    "connects",
    "disconnects",
    "refusals",
    "links_up",
    "links_down",
    "links_degraded",
)
_KINDS = {
    "device.connected": "connects",
    "device.disconnected": "disconnects",
    "device.refused": "refusals",
    "link.up": "links_up",
    "link.down": "links_down",
    "link.refused": "links_down",
    "link.degraded": "links_degraded",
    "link.silent": "links_degraded",
}
_AT = {name: at for at, name in enumerate(COUNTERS)}
_CREDENTIAL, _INTEGRATION = "credential:", "integration:"


def counted(events: Sequence[Event], erased: Erased) -> tuple[Cells, Cells]:
    """By minute, and by hour; nothing of a device from before it was forgotten."""
    minutes: Cells = {}
    hours: Cells = {}
    for each in events:
        event, organization = each.event, each.organization_id
        counts = _counts(event)
        if not any(counts):
            continue
        minute = each.recorded.time.replace(second=0, microsecond=0)
        hour = minute.replace(minute=0)
        add(minutes, (organization, ORGANIZATION, ALL, minute), counts)
        if (integration := _integration(event)) is not None:
            add(minutes, (organization, INTEGRATION, integration, minute), counts)
        forgotten = erased.since(each.organization, event.device_id)
        if event.device_id is not None and not (forgotten and hour <= forgotten):
            add(hours, (organization, DEVICE, event.device_id, hour), counts)
        if event.subject is not None and event.subject.startswith(_CREDENTIAL):
            of_credential = counts.copy()
            of_credential[:2] = [_count(event, "messages_in"), _count(event, "bytes_in")]
            add(
                hours,
                (organization, CREDENTIAL, event.subject.removeprefix(_CREDENTIAL), hour),
                of_credential,
            )
    return with_hours(minutes, hours)


def _counts(event: ActivityRecorded) -> list[int]:
    """Messages are counted with the messages themselves, but for those of a credential."""
    counts = [0] * len(COUNTERS)
    if (counter := _KINDS.get(event.kind)) is not None:
        # Of a flood of refusals one is told, with the number of those left out.
        counts[_AT[counter]] = _count(event, "left_out", 1) if counter == "refusals" else 1
    if event.status != "ok" and event.kind != "device.refused":
        counts[_AT["errors"]] = 1
    return counts


def _integration(event: ActivityRecorded) -> str | None:
    if event.kind in OF_CONNECTIONS:
        return HOSTED
    if event.subject is not None and event.subject.startswith(_INTEGRATION):
        return event.subject.removeprefix(_INTEGRATION)
    return None


def _count(event: ActivityRecorded, name: str, otherwise: int = 0) -> int:
    value = event.details.get(name, otherwise)
    return value if isinstance(value, int) and 0 <= value < 2**53 else otherwise


class ActivityCounts(Counts):
    def __init__(self, erased: Erased) -> None:
        super().__init__("activity_minutes", "activity_hours", COUNTERS)
        self._erased = erased

    async def prepare(self, pool: asyncpg.Pool, ready: Ready, place: Checkpoint) -> tuple[Cells, Cells]:
        del place
        return await self.ready(pool, *counted(ready.events, self._erased))
