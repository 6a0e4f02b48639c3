"""Forbidden publishes and subscriptions, from nats-server's own log: it tells nobody else.

An MQTT 3.1.1 broker cannot refuse a publish: the server acknowledges it and drops it, with one line in its log.
Each such line becomes activity of the credential's organization: read here where the log is a file of this machine
(`BROKER_LOG`), or told by a reader beside each server (`services.credentials.broker_log`).
The lines name the client id, which is bound to its credential, so nobody can blame another.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from contracts.calls import Nothing
from contracts.topics import from_subject
from contracts.violations import NoteViolations, Violation
from services.credentials.directory import Directory
from services.credentials.log_file import follow
from services.credentials.refusals import TOPIC_MAX, Refusals

_LINE = re.compile(
    r'\[\d+\] \S+ \S+ \[ERR\] (?P<address>\S+?)(?::\d+)? - mid\w*:\d+ - "(?P<client>[A-Za-z0-9_-]{1,64})" - '
    r'(?P<what>Publish|Subscription) Violation - Subject (?P<subject>"(?:[^"\\]|\\.)*")(?:, SID .*)?'
)
_ISSUED_CHARS = 16


def parse(line: str) -> Violation | None:
    """What a line of nats-server's log says of a device, or None for every other line."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    quoted = found["subject"][1:-1].encode("latin-1", "backslashreplace")
    subject = codecs.escape_decode(quoted)[0].decode("utf-8", "replace")
    topic = from_subject(subject)[:TOPIC_MAX]
    if found["what"] == "Publish":
        return Violation(
            reason="topic.forbidden", client_id=found["client"], address=found["address"], topic=topic
        )
    filter = "/".join({"*": "+", ">": "#"}.get(level, level) for level in topic.split("/"))
    return Violation(
        reason="filter.forbidden", client_id=found["client"], address=found["address"], topic=filter
    )


class Violations:
    """Whose credential each is of."""

    def __init__(self, directory: Directory, refusals: Refusals) -> None:
        self._directory, self._refusals = directory, refusals
        self._credentials: dict[str, str] = {}  # issued client id → credential, as of a sequence
        self._sequence = 0

    async def read(self, log: Path) -> None:
        """Follows a log from its present end, until cancelled."""
        async for lines in follow(log):
            for line in lines:
                if (violation := parse(line)) is not None:
                    self._note(violation)

    async def take(self, told: NoteViolations) -> Nothing:
        """Of a server whose log another reads."""
        for violation in told.violations:
            self._note(violation)
        return Nothing()

    def _note(self, violation: Violation) -> None:
        issued = violation.client_id[:_ISSUED_CHARS]
        held = self._directory.credentials.by_id
        if issued not in self._credentials and self._sequence != self._directory.sequence:
            self._credentials = {entry.state.client_id: id for id, entry in held.items()}
            self._sequence = self._directory.sequence
        entry = held.get(self._credentials.get(issued, ""))
        if entry is None:
            return  # a client of the platform's own
        self._refusals.note(
            violation.reason,
            organization=entry.organization,
            credential=entry.id,
            username=entry.id,
            client_id=violation.client_id,
            address=violation.address,
            topic=violation.topic,
            detail=violation.topic,
        )
