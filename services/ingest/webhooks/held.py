"""Messages of calls that were planned here and not attempted yet, so that they need not be read again. No I/O."""

from __future__ import annotations

from services.ingest.webhooks.reading import Found

BYTES_MAX = 4 * 1024 * 1024  # of a webhook; what is above it is read from the log again


class Held:
    def __init__(self) -> None:
        self._found: dict[int, list[Found]] = {}  # by the call's number
        self._bytes = 0

    def add(self, number: int, found: list[Found], *, new: bool) -> None:
        """Of a call that has grown, what is new of it: where the beginning is not held, the end is not."""
        size = sum(len(each.data) for each in found)
        if self._bytes + size > BYTES_MAX or (not new and number not in self._found):
            self.take(number)
            return
        self._found.setdefault(number, []).extend(found)
        self._bytes += size

    def take(self, number: int) -> list[Found]:
        """And lets go of it; empty for what is not held."""
        found = self._found.pop(number, [])
        self._bytes -= sum(len(each.data) for each in found)
        return found
