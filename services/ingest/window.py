"""What a link took last, so that a redelivered copy is known. Pure.

A broker sends again (with DUP) whatever it has no acknowledgement for; the copy has the packet id, topic and
payload of the first one. Only the last `size` messages count: a broker has fewer under way, and gives an id
again long after.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Taken:
    """One message of QoS 1 or 2 that was given to the log."""

    number: int
    mid: int
    topic: str
    digest: int
    stored: bool = False


class Window:
    def __init__(self, size: int) -> None:
        self._size = size
        self._by_mid: dict[int, Taken] = {}
        self._order: deque[Taken] = deque()
        self._sequences: deque[int] = deque(maxlen=size)
        self._number = 0

    def copy_of(self, mid: int, topic: str, payload: bytes) -> Taken | None:
        """The message that this one, marked DUP, is a copy of."""
        taken = self._by_mid.get(mid)
        if taken is not None and taken.topic == topic and taken.digest == hash(payload):
            return taken
        return None

    def take(self, mid: int, topic: str, payload: bytes) -> Taken:
        self._number += 1
        taken = Taken(self._number, mid, topic, hash(payload))
        self._by_mid[mid] = taken
        self._order.append(taken)
        if len(self._order) > self._size:
            old = self._order.popleft()
            if self._by_mid.get(old.mid) is old:
                del self._by_mid[old.mid]
        return taken

    def store(self, taken: Taken, sequence: int) -> None:
        taken.stored = True
        self._sequences.append(sequence)

    def forget(self, taken: Taken) -> None:
        """The log did not take it: the copy that comes again is no copy."""
        if self._by_mid.get(taken.mid) is taken:
            del self._by_mid[taken.mid]

    @property
    def since(self) -> int:
        """A stream sequence from which on the log holds the whole window; 1 where none is known yet."""
        return self._sequences[0] if self._sequences else 1
