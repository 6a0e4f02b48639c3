"""Where a projection goes on reading, decided from what it has stored and what the stream is now."""

from __future__ import annotations

from typing import Literal, NamedTuple

Change = Literal["none", "recreated", "restored"]


class Checkpoint(NamedTuple):
    """The last message whose rows are stored, and the stream that its sequence counts in."""

    epoch: int
    created: str  # of the stream, as the server says it
    sequence: int


class Place(NamedTuple):
    start: int  # the first sequence to read
    change: Change  # of the stream under the checkpoint: anything but "none" begins an epoch
    trimmed: int  # messages that the stream let go before they were read


def place(checkpoint: Checkpoint, created: str, first: int, last: int) -> Place:
    """`first` and `last` are the stream's; an empty one says first = last + 1."""
    first = max(first, 1)
    if checkpoint.created != created:
        return Place(first, "recreated", 0)
    if last < checkpoint.sequence:  # it went back in time: from a backup, or a disk that lost writes
        return Place(first, "restored", 0)
    if first > checkpoint.sequence + 1:
        return Place(first, "none", first - checkpoint.sequence - 1)
    return Place(checkpoint.sequence + 1, "none", 0)
