"""What every kind of state has."""

from __future__ import annotations

from typing import Literal, Protocol, Self, TypeVar

from contracts.envelope import Event

Status = Literal["absent", "active", "ended"]


class State(Protocol):
    """Frozen. Empty is what it is before its first event."""

    def evolve(self, event: Event) -> Self:
        """The state after the event; an event that means nothing to it changes nothing."""
        ...


StateT = TypeVar("StateT", bound=State)
