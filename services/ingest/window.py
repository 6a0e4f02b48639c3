"""What a link took last, so that a redelivered copy is known. Pure.

A broker sends again (with DUP) whatever it has no acknowledgement for; the copy has the packet id, topic and
payload of the first one. How many it may send again is its own choice: Mosquitto 2.0.11 sends a whole backlog
at once in spite of a limit of 1,000, and reads acknowledgements only afterwards; those are lost when we die.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SIZE_LEAST = 16_384  # some 5 MB for a busy link, and 0.2 s to read back at its start
SIZE_MOST = 65_535  # there are no more packet ids


@dataclass(slots=True)
class Taken:
    """One message of QoS 1 or 2 that was given to the log."""

    number: int
    mid: int
    digest: int  # of topic and payload
    sequence: int = 0  # in the stream, once stored


class Window:
    def __init__(self) -> None:
        self._size = SIZE_LEAST
        self._by_mid: dict[int, Taken] = {}
        self._order: deque[Taken] = deque()
        self._number = 0
        self._under_way = 0

    def copy_of(self, mid: int, topic: str, payload: bytes) -> Taken | None:
        """The message that this one, marked DUP, is a copy of."""
        taken = self._by_mid.get(mid)
        if taken is not None and taken.digest == hash((topic, payload)):
            return taken
        return None

    def take(self, mid: int, topic: str, payload: bytes) -> Taken:
        self._number += 1
        taken = Taken(self._number, mid, hash((topic, payload)))
        self._by_mid[mid] = taken
        self._order.append(taken)
        self._under_way += 1
        if 2 * self._under_way > self._size:
            self._size = min(2 * self._under_way, SIZE_MOST)
        while len(self._order) > self._size:
            self._forget(self._order.popleft())
        return taken

    def store(self, taken: Taken, sequence: int) -> None:
        taken.sequence = sequence
        self._under_way -= 1

    def refuse(self, taken: Taken) -> None:
        """The log did not take it: the copy that comes again is no copy."""
        self._under_way -= 1
        self._order.remove(taken)
        self._forget(taken)

    def remember(self, mid: int, topic: str, payload: bytes, sequence: int) -> None:
        """As read back from the log, in its order; whatever is read back belongs to the window."""
        self._size = min(max(self._size, len(self._order) + 1), SIZE_MOST)
        self.store(self.take(mid, topic, payload), sequence)

    @property
    def since(self) -> int:
        """A stream sequence from which on the log holds the whole window."""
        return (self._order[0].sequence or 1) if self._order else 1

    def _forget(self, taken: Taken) -> None:
        if self._by_mid.get(taken.mid) is taken:
            del self._by_mid[taken.mid]
