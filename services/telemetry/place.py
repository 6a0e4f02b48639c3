"""Where a projection goes on reading, decided from what it has stored and what the stream is now."""

from __future__ import annotations

from typing import Literal, NamedTuple

Change = Literal["none", "recreated", "restored"]


class Checkpoint(NamedTuple):
    """The last message whose rows are stored, and the stream that its sequence counts in."""

    epoch: int
    created: str  # of the stream, as the server says it
    sequence: int
    time_ns: int | None = None  # when the stream stored that message: it tells it from another of its number
    turn: int = 0  # moves when somebody else changes rows that the projector remembers


class Place(NamedTuple):
    """`start` counts where nothing changed: after a change it is looked for (see `parting`)."""

    start: int  # the first sequence to read
    change: Change  # of the stream under the checkpoint: anything but "none" begins an epoch
    trimmed: int  # messages that the stream let go before they were read


def place(checkpoint: Checkpoint, created: str, first: int, last: int, held_ns: int | None = None) -> Place:
    """`first` and `last` are the stream's; an empty one says first = last + 1.

    `held_ns` is when the stream stored the message that it has now at the checkpoint; None where it has none.
    """
    first = max(first, 1)
    if checkpoint.created != created:
        return Place(first, "recreated", 0)
    if last < checkpoint.sequence:  # it went back in time: from a backup, or a disk that lost writes
        return Place(first, "restored", 0)
    if None not in (held_ns, checkpoint.time_ns) and held_ns != checkpoint.time_ns:
        return Place(first, "restored", 0)  # it went back, and has grown past the checkpoint since
    if first > checkpoint.sequence + 1:
        return Place(first, "none", first - checkpoint.sequence - 1)
    return Place(checkpoint.sequence + 1, "none", 0)
