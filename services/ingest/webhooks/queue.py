"""A webhook's calls that wait or are under way: who may go now. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

from contracts.webhook_deliveries import DEAD_SLOTS, LIVE_MAX, SLOTS, DeliveryRecord

Slot = str
PENDING_MAX = 16  # planned and not attempted: more are planned when these have gone, in larger batches
PENDING_LANES_MAX = 100  # where calls are in order: those that wait for their turn take more of their device


class Queue:
    """By number, which is the order of their planning."""

    def __init__(self, held: Iterable[tuple[Slot, DeliveryRecord]]) -> None:
        self.live: dict[int, DeliveryRecord] = {}
        self.under_way: set[int] = set()
        self.early: set[int] = set()  # tried before their time: by a person, or because the receiver is back
        self._slots: dict[int, Slot] = {}
        self._free: deque[Slot] = deque()
        self._dead_next = 0
        self.next_number = 1
        self._take(sorted(held, key=lambda pair: pair[1].number))

    def _take(self, held: list[tuple[Slot, DeliveryRecord]]) -> None:
        over: list[Slot] = []
        dead = 0
        for slot, record in held:
            self.next_number = max(self.next_number, record.number + 1)
            dead = max(dead, int(slot[1:]) + 1) if slot.startswith("d") else dead
            if record.state in ("pending", "waiting"):
                self.live[record.number] = record
                self._slots[record.number] = slot
            elif not slot.startswith("d"):
                over.append(slot)
        used = {slot for slot, _ in held}
        unused = [str(number) for number in range(SLOTS) if str(number) not in used]
        self._free.extend([*unused, *over])  # what is over shows for as long as there are others
        newest = [slot for slot, record in held if slot.startswith("d")]
        self._dead_next = (int(newest[-1][1:]) + 1) % DEAD_SLOTS if dead == DEAD_SLOTS else dead

    def slot(self, number: int) -> Slot:
        return self._slots[number]

    def new_slot(self) -> Slot:
        """The one whose call is over for longest."""
        return self._free.popleft()

    def give_back(self, slot: Slot) -> None:
        """Of a call that could not be planned."""
        self._free.appendleft(slot)

    def dead_slot(self) -> Slot:
        slot = f"d{self._dead_next}"
        self._dead_next = (self._dead_next + 1) % DEAD_SLOTS
        return slot

    def put(self, slot: Slot, record: DeliveryRecord) -> None:
        self.live[record.number] = record
        self._slots[record.number] = slot
        self.next_number = max(self.next_number, record.number + 1)

    def over(self, number: int) -> None:
        """Delivered or dead."""
        del self.live[number]
        self.early.discard(number)
        slot = self._slots.pop(number)
        if not slot.startswith("d"):
            self._free.append(slot)

    @property
    def waiting(self) -> int:
        return sum(record.state == "waiting" for record in self.live.values())

    @property
    def room(self) -> bool:
        """Whether more may be planned."""
        own = sum(not slot.startswith("d") for slot in self._slots.values())
        pending = [record for record in self.live.values() if record.state == "pending"]
        loose = sum(record.lane is None for record in pending)
        return own < LIVE_MAX and loose < PENDING_MAX and len(pending) < PENDING_LANES_MAX

    def tail(self, lane: str) -> DeliveryRecord | None:
        """The last call of a lane, unless it is under way."""
        found = [record for record in self.live.values() if record.lane == lane]
        return found[-1] if found and found[-1].number not in self.under_way else None

    def heads(self) -> Iterator[DeliveryRecord]:
        """Calls that wait for no other, the oldest first; of each lane the first alone."""
        lanes: set[str] = set()
        for number in sorted(self.live):
            record = self.live[number]
            if record.lane is not None:
                if record.lane in lanes:
                    continue
                lanes.add(record.lane)
            if number not in self.under_way:
                yield record

    def ready(self, now: datetime) -> Iterator[DeliveryRecord]:
        for record in self.heads():
            if record.next_at is None or record.next_at <= now or record.number in self.early:
                yield record

    def next_at(self) -> datetime | None:
        """When the next one is due that waits."""
        return min((record.next_at for record in self.heads() if record.next_at is not None), default=None)
