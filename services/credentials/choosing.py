"""Which of an organization's credentials a list shows; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from contracts.credentials import ListCredentials
from services.credentials.directory import Entry
from services.credentials.states.credential import Credential
from services.credentials.views import standing

LOOKS_MAX = 20_000  # some 20 ms: who searches among more waits a page longer, and nobody else does


def chosen(
    entries: Iterable[Entry[Credential]], asked: ListCredentials, now: datetime, most: int
) -> tuple[list[Entry[Credential]], int | None]:
    """Up to `most`; and where the looking stopped before the end, the sequence of the last one looked at."""
    found: list[Entry[Credential]] = []
    words = (asked.q or "").casefold()
    for looks, entry in enumerate(entries, 1):
        if (asked.state is None or standing(entry.state, now) == asked.state) and _has(entry, words):
            found.append(entry)
            if len(found) == most:
                break
        if looks == LOOKS_MAX:
            return found, entry.first
    return found, None


def _has(entry: Entry[Credential], words: str) -> bool:
    state = entry.state
    return not words or any(
        words in text.casefold()
        for text in (state.name, state.device_id or "", entry.id, state.username or "", state.hint)
    )
