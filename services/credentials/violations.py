"""Forbidden publishes and subscriptions, from nats-server's own log: it tells nobody else.

An MQTT 3.1.1 broker cannot refuse a publish: the server acknowledges it and drops it, with one line in its log.
Where that log can be read (`BROKER_LOG`), each such line becomes activity of the credential's organization.
The lines name the client id, which is bound to its credential, so nobody can blame another.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from contracts.topics import from_subject
from services.credentials.directory import Directory
from services.credentials.refusals import Refusals

LOOK_S = 0.25
READ_BYTES_MAX = (
    1024 * 1024
)  # a look; what a flood writes beyond it is passed over, and the server bounds its log
_LINE = re.compile(
    r'\[\d+\] \S+ \S+ \[ERR\] (?P<address>\S+?)(?::\d+)? - mid\w*:\d+ - "(?P<client>[A-Za-z0-9_-]{1,64})" - '
    r'(?P<what>Publish|Subscription) Violation - Subject (?P<subject>"(?:[^"\\]|\\.)*")(?:, SID .*)?'
)
_ISSUED_CHARS = 16


class Violation(NamedTuple):
    reason: str  # a failure code
    client_id: str
    address: str
    topic: str  # or filter


def parse(line: str) -> Violation | None:
    """What a line of nats-server's log says of a device, or None for every other line."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    quoted = found["subject"][1:-1].encode("latin-1", "backslashreplace")
    subject = codecs.escape_decode(quoted)[0].decode("utf-8", "replace")
    topic = from_subject(subject)
    if found["what"] == "Publish":
        return Violation("topic.forbidden", found["client"], found["address"], topic)
    filter = "/".join({"*": "+", ">": "#"}.get(level, level) for level in topic.split("/"))
    return Violation("filter.forbidden", found["client"], found["address"], filter)


class Violations:
    """`run()` is its task."""

    def __init__(self, log: Path, directory: Directory, refusals: Refusals) -> None:
        self._log, self._directory, self._refusals = log, directory, refusals
        self._credentials: dict[str, str] = {}  # issued client id → credential, as of a sequence
        self._sequence = 0

    async def run(self) -> None:
        """Follows the log from its present end, until cancelled."""
        async for line in follow(self._log):
            if (violation := parse(line)) is not None:
                self._note(violation)

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
            detail=violation.topic[:256],
        )


async def follow(path: Path) -> AsyncIterator[str]:
    """Lines that are written to a file from now on; goes on where it is cut or replaced by a new one."""
    place = await asyncio.to_thread(_end_of, path)
    rest = b""
    while True:
        place, data = await asyncio.to_thread(_read, path, place)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
        if not lines:
            rest = rest[-READ_BYTES_MAX:]
            await asyncio.sleep(LOOK_S)


class _Place(NamedTuple):
    file: int  # inode; 0: there was none
    offset: int


def _end_of(path: Path) -> _Place:
    try:
        held = path.stat()
    except FileNotFoundError:
        return _Place(0, 0)
    return _Place(held.st_ino, held.st_size)


def _read(path: Path, place: _Place) -> tuple[_Place, bytes]:
    try:
        with path.open("rb") as file:
            now = _end_of(path)
            begin = place.offset if now.file == place.file and now.offset >= place.offset else 0
            if now.offset - begin > READ_BYTES_MAX:
                begin = now.offset - READ_BYTES_MAX
            file.seek(begin)
            data = file.read(READ_BYTES_MAX)
            return _Place(now.file, begin + len(data)), data
    except FileNotFoundError:
        return place, b""
