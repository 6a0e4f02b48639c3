"""What is not stored again: of devices that were forgotten, everything that the log took before; in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contracts.devices import DeviceForgotten
from contracts.envelope import Event
from runtime.pull import Entry
from services.telemetry import parting
from services.telemetry.decoding import Batch
from services.telemetry.redecode_orders import nanoseconds


class Erased:
    """Since when each device is new, by organization: the time at which the registry stored that it is forgotten."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, int]] = {}
        self._latest: dict[str, int] = {}  # by organization
        self.latest_ns = 0

    def apply(self, organization: str, event: Event, time_ns: int) -> bool:
        """Whether it was such an event."""
        if not isinstance(event, DeviceForgotten):
            return False
        self._since.setdefault(organization, {})[event.device_id] = time_ns
        self._latest[organization] = max(time_ns, self._latest.get(organization, 0))
        self.latest_ns = max(self.latest_ns, time_ns)
        return True

    def concerns(self, organization: str, time_ns: int) -> bool:
        """Whether anything of the organization that was stored then may be erased."""
        return time_ns < self._latest.get(organization, 0)

    def has(self, organization: str, device: str | None, time_ns: int) -> bool:
        """Whether what was stored then of this device is erased."""
        return device is not None and time_ns < self._since.get(organization, {}).get(device, 0)

    def since(self, organization: str, device: str | None) -> datetime | None:
        """Since when it is new; None for one that was never forgotten."""
        ns = None if device is None else self._since.get(organization, {}).get(device)
        return None if ns is None else parting.moment(ns)


def leave_out(batch: Batch, entries: Sequence[Entry], erased: Erased) -> set[str]:
    """Takes from a batch what is erased; the organizations whose it was. `entries` are all of it, in order.

    A message of another device stays, with its payload; the readings in it that are the erased one's go.
    """
    if not entries or entries[0].time_ns >= erased.latest_ns:
        return set()
    times = {entry.sequence: entry.time_ns for entry in entries}
    gone = {
        row.sequence: row.organization
        for row in batch.messages
        if erased.has(row.organization, row.device, times[row.sequence])
    }
    batch.samples = [
        row for row in batch.samples if not erased.has(row.organization, row.device, times[row.sequence])
    ]
    sampled = {(row.organization, row.device) for row in batch.samples}
    batch.heard = {
        who: at for who, at in batch.heard.items() if who in sampled or not erased.has(*who, nanoseconds(at))
    }
    batch.presences = [
        said for said in batch.presences if not erased.has(said[0], said[2].device_id, nanoseconds(said[1]))
    ]
    if gone:
        batch.messages = [row for row in batch.messages if row.sequence not in gone]
        batch.failed = [one for one in batch.failed if one.row.sequence not in gone]
    return set(gone.values())
