"""The logs that live streams read, as data: which kinds each carries, and whose an entry is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts import streams, subjects

Kind = Literal["messages", "readings", "presence", "activity", "alerts"]
KINDS: tuple[Kind, ...] = ("messages", "readings", "presence", "activity", "alerts")


class Logged(NamedTuple):
    """An entry of a log, whichever way it was read."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes
    time_ns: int  # when the stream stored it


@dataclass(frozen=True, slots=True)
class Log:
    letter: str  # in a position
    name: str
    stream: str
    kinds: frozenset[Kind]
    of_organization: Callable[[str], str]
    """The filter for all entries of an organization."""
    organization: Callable[[str], str | None]
    """Whose the entry at a subject is; None: nobody's."""


def _second(subject: str) -> str | None:
    return subject.split(".", 2)[1]


def _of_message(subject: str) -> str | None:
    return subject.split(".", 3)[2] if subjects.is_message(subject) else None


MESSAGES = Log(
    "m",
    "messages",
    streams.MESSAGES.name,
    frozenset(("messages", "readings", "presence")),
    subjects.all_messages_of,
    _of_message,
)
ACTIVITY = Log(
    "a",
    "activity",
    streams.ACTIVITY.name,
    frozenset(("activity", "presence")),  # the broker's word of connections is presence, too
    subjects.activity_of,
    _second,
)
ALERTS = Log(
    "l",
    "alerts",
    streams.ALERTS.name,
    frozenset(("alerts",)),
    subjects.alerts_of,
    _second,
)
LOGS: tuple[Log, ...] = (MESSAGES, ACTIVITY, ALERTS)
BY_LETTER = {log.letter: log for log in LOGS}
