"""Where a reader stands, as the `id` of an event says it.

Of MESSAGES alone it is the sequence (`4711`); of several logs, the sequence in each (`m4711.a93`). Where one
message makes several events, all but the last end in `+n`: behind this sequence, and n events of the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contracts.failures import Refused
from services.gateway.live.logs import BY_LETTER, MESSAGES, Log

CHARS_MAX = 100
_PART = re.compile(r"([a-z]?)(0|[1-9][0-9]{0,17})(?:\+([1-9][0-9]{0,3}))?", re.ASCII)


class Place(NamedTuple):
    """Behind this entry of a log, and behind so many events of the next one."""

    sequence: int
    events: int = 0

    def __str__(self) -> str:
        return f"{self.sequence}+{self.events}" if self.events else str(self.sequence)


Position = Mapping[str, Place]
"""By a log's letter."""


def shown(position: Position) -> str:
    """The id of an event."""
    if position.keys() == {MESSAGES.letter}:
        return str(position[MESSAGES.letter])
    return ".".join(f"{letter}{place}" for letter, place in sorted(position.items()))


def read(text: str | None, logs: Iterable[Log]) -> dict[str, Place] | None:
    """What `shown` made, of these logs; None for nothing. Raises Refused("cursor.invalid")."""
    if not text:
        return None
    position: dict[str, Place] = {}
    for part in text.split(".") if len(text) <= CHARS_MAX else ():
        if not (found := _PART.fullmatch(part)):
            break
        letter = found[1] or MESSAGES.letter
        if letter not in BY_LETTER or letter in position:
            break
        position[letter] = Place(int(found[2]), int(found[3] or 0))
    else:
        if position:
            return {log.letter: position[log.letter] for log in logs if log.letter in position}
    raise Refused("cursor.invalid", "it is no `id` of an event of this stream", field="Last-Event-ID")
