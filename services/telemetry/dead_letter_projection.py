"""The projection of DEADLETTERS: a row a letter, however often it was written, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote

import asyncpg

from contracts import dead_letters, subjects, upcasts
from contracts.dead_letter_calls import DeadLettersDiscarded, DeadLettersResolved, State, letter_id
from contracts.envelope import SOURCE, TIME, TYPE, Recorded
from contracts.failures import Unprocessable
from contracts.messages import TOPIC, hosted_address
from contracts.streams import DEADLETTERS
from contracts.topics import device_of
from runtime.observe import log
from runtime.pull import Entry
from services.telemetry.checkpoints import Session
from services.telemetry.decoding import is_hosted
from services.telemetry.dictionaries import Dictionaries
from services.telemetry.directory import Directory
from services.telemetry.parting import Found
from services.telemetry.partitions import Partitions
from services.telemetry.place import Checkpoint
from services.telemetry.redecode_orders import nanoseconds

_log = log(part="dead letters")
_INSERT = (
    "INSERT INTO dead_letters (organization, received_at, id, stream_created, sequence, subject, source, topic,"
    " reason, detail, decoder, payload)"
    " SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::text[],"
    " $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[])"
    " ON CONFLICT DO NOTHING"
)
_CLOSE = (
    "UPDATE dead_letters SET state = $3, closed_at = $4, closed_by = $5"
    " WHERE organization = $1 AND id = ANY($2::text[]) AND state = 'open'"
)
_KNOWN = (
    "SELECT EXISTS (SELECT FROM dead_letters l JOIN organizations o ON o.id = l.organization"
    " WHERE o.name = $1 AND l.id = $2)"
)
_STATES: dict[type, State] = {DeadLettersDiscarded: "discarded", DeadLettersResolved: "resolved"}


class Letter(NamedTuple):
    organization: str
    received: datetime
    id: str
    stream_created: str
    sequence: int
    subject: str
    source: str
    topic: str
    reason: str
    detail: str
    decoder: str
    payload: bytes
    device: str | None
    stored_ns: int


_STORED = Letter._fields.index("payload")  # what stands behind it is for us


class Closing(NamedTuple):
    organization: str
    ids: list[str]
    state: State
    at: datetime
    by: str


class Ready(NamedTuple):
    """Rows with organizations by number; a letter always stands before what closes it."""

    letters: list[tuple[int, Letter]]
    closings: list[tuple[int, Closing]]


class DeadLettersProjection:
    name = "dead-letters"
    stream = DEADLETTERS.name
    subjects = subjects.DEADLETTERS_ALL

    def __init__(
        self,
        partitions: Partitions,
        directory: Directory,
        told: Callable[[Iterable[Letter]], None] | None = None,
    ) -> None:
        """`told`: of letters that are stored."""
        self._partitions, self._directory, self._told = partitions, directory, told
        self._dictionaries = Dictionaries()

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> Ready:
        del place
        await self._directory.complete.wait()
        read = [
            one
            for entry in entries
            if (one := _read(entry)) is not None and not (isinstance(one, Letter) and self._erased(one))
        ]
        letters = [one for one in read if isinstance(one, Letter)]
        async with pool.acquire() as connection:
            await self._dictionaries.learn(connection, (), (), {one.organization for one in read})
            await self._partitions.ensure(
                connection, {("dead_letters", one.received.date()) for one in letters}
            )
        held = self._dictionaries.organizations
        return Ready(
            [(held[one.organization].id, one) for one in letters],
            [(held[one.organization].id, one) for one in read if isinstance(one, Closing)],
        )

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> Ready:
        del pool, place
        _log.error("a dead letter cannot be stored", sequence=entry.sequence, why=why)
        return Ready([], [])  # it stays in the stream

    async def write(self, connection: Session, ready: Ready) -> int:
        if ready.letters:
            columns = zip(
                *((organization, *one[1 : _STORED + 1]) for organization, one in ready.letters), strict=True
            )
            await connection.execute(_INSERT, *columns)
        for organization, closing in ready.closings:
            await connection.execute(_CLOSE, organization, *closing[1:])
        return len(ready.letters)

    def committed(self, ready: Ready) -> None:
        if self._told is not None:
            self._told(one for _, one in ready.letters)

    def links(self, ready: Ready) -> list[str]:
        del ready
        return []

    async def known(self, connection: Session, found: Found) -> bool | None:
        one = _read_message(found.subject, found.headers, found.data, found.sequence)
        if not isinstance(one, Letter):
            return None
        if self._erased(one):
            return None
        return bool(await connection.fetchval(_KNOWN, one.organization, one.id))

    def _erased(self, letter: Letter) -> bool:
        """Whether its message was one of a device that was forgotten since."""
        return self._directory.erased.has(letter.organization, letter.device, letter.stored_ns)

    def forget(self) -> None:
        self._dictionaries.forget()
        self._partitions.forget()


def _read(entry: Entry) -> Letter | Closing | None:
    return _read_message(entry.subject, entry.headers, entry.data, entry.sequence)


def _read_message(
    subject: str, headers: dict[str, str], data: bytes, sequence: int
) -> Letter | Closing | None:
    """None for what a newer service wrote, and for what cannot be read, which is said."""
    try:
        if TYPE not in headers:
            return _letter(subject.split(".")[1], headers, data)
        recorded = upcasts.decode(headers, data, subject=subject, sequence=sequence)
    except (Unprocessable, KeyError, ValueError) as error:
        _log.error("a dead letter is unreadable", subject=subject, sequence=sequence, error=repr(error))
        return None
    return None if recorded is None else _closing(subject.split(".")[1], recorded)


def _letter(organization: str, headers: dict[str, str], data: bytes) -> Letter:
    created, sequence = headers[dead_letters.ORIGIN_STREAM], int(headers[dead_letters.ORIGIN_SEQUENCE])
    received, stored = datetime.fromisoformat(headers[TIME]), headers.get(dead_letters.ORIGIN_TIME)
    subject, topic = headers[dead_letters.ORIGIN_SUBJECT], _plain(headers[TOPIC])
    return Letter(
        organization=organization,
        received=received,
        id=letter_id(created, sequence),
        stream_created=created,
        sequence=sequence,
        subject=subject,
        source=headers[SOURCE],
        topic=topic,
        reason=headers[dead_letters.REASON],
        detail=_plain(headers[dead_letters.DETAIL]),
        decoder=headers[dead_letters.DECODER],
        payload=data,
        device=_device(subject, topic),
        stored_ns=nanoseconds(received) if stored is None else int(stored),
    )


def _device(subject: str, topic: str) -> str | None:
    if is_hosted(subject):
        with suppress(ValueError):  # of something that is not ours
            return hosted_address(subject).device
    return device_of(topic)


def _closing(organization: str, recorded: Recorded) -> Closing | None:
    event = recorded.event
    if not isinstance(event, DeadLettersDiscarded | DeadLettersResolved):
        return None
    return Closing(organization, list(event.ids), _STATES[type(event)], recorded.time, recorded.actor)


def _plain(text: str) -> str:
    return unquote(text).replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL keeps no NUL in a text
