"""Rows in PostgreSQL's binary COPY form (its manual, "COPY", File Formats: Binary Format).

asyncpg's own encoding asks a codec for each value, 10 µs a sample; a struct packs a whole row in 2.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
CHUNK_ROWS = 500  # joined to one write: some 100 KB

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT4, _FLOAT8 = 23, 701  # type OIDs, as an array names its elements
_LENGTH = struct.Struct(">i")
_SAMPLE = struct.Struct(">hiqiqiiiiihihihii").pack
_MESSAGE = struct.Struct(">hiqiqiiiiihihi?").pack
_MESSAGE_NO_DEVICE = struct.Struct(">hiqiqiiiihihi?").pack


def micros(moment: datetime) -> int:
    """A timestamptz on the wire."""
    passed = moment - _PG_EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def sized(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def integers(values: Sequence[int]) -> bytes:
    """An integer[] without NULLs."""
    head = struct.pack(">iiiii", 1 if values else 0, 0, _INT4, len(values), 1)
    return sized(head + b"".join(struct.pack(">ii", 4, value) for value in values))


@lru_cache(maxsize=1024)
def _doubles_of(count: int) -> tuple[Any, tuple[int, ...]]:
    return struct.Struct(">iiiiii" + "id" * count).pack, (20 + 12 * count, 1, 0, _FLOAT8, count, 1)


def doubles(values: Sequence[float | None]) -> bytes:
    """A double precision[] of at least one element, which may be NULL."""
    count = len(values)
    if None in values:
        head = struct.pack(">iiiii", 1, 1, _FLOAT8, count, 1)
        return sized(head + b"".join(NULL if v is None else struct.pack(">id", 8, v) for v in values))
    pack, start = _doubles_of(count)
    if count == 1:
        return pack(*start, 8, values[0])  # type: ignore[no-any-return]
    if count == 3:
        return pack(*start, 8, values[0], 8, values[1], 8, values[2])  # type: ignore[no-any-return]
    flat: list[Any] = [8] * (2 * count)
    flat[1::2] = values
    return pack(*start, *flat)  # type: ignore[no-any-return]


def jsonb(value: Any) -> bytes:
    return NULL if value is None else sized(b"\x01" + json.dumps(value).encode())


@lru_cache(maxsize=32_768)
def texts(source: str, topic: str) -> bytes:
    """Two text columns, whose values repeat."""
    return sized(source.encode()) + sized(topic.encode())


def sample(
    time: datetime,
    sequence: int,
    organization: int,
    device: int,
    epoch: int,
    position: int,
    flags: int,
    decoder: int,
    described: bytes,
    metrics: bytes,
    numbers: bytes,
    rest: bytes,
) -> bytes:
    """A row of `samples`; `described` are `texts`, `rest` are `others` and `units`."""
    at = micros(time)
    head = _SAMPLE(
        14, 8, at, 8, sequence, 4, organization, 4, device, 2, epoch, 2, position, 2, flags, 4, decoder
    )
    return b"".join((head, described, metrics, numbers, rest))


def message(
    received: datetime,
    sequence: int,
    organization: int,
    device: int | None,
    epoch: int,
    qos: int,
    retain: bool,
    described: bytes,
    payload: bytes,
    failure: str | None,
) -> bytes:
    """A row of `messages`."""
    at = micros(received)
    if device is None:
        head = _MESSAGE_NO_DEVICE(11, 8, at, 8, sequence, 4, organization, -1, 2, epoch, 2, qos, 1, retain)
    else:
        head = _MESSAGE(11, 8, at, 8, sequence, 4, organization, 4, device, 2, epoch, 2, qos, 1, retain)
    last = NULL if failure is None else sized(failure.encode())
    return b"".join((head, described, _LENGTH.pack(len(payload)), payload, last))


async def stream(rows: Sequence[bytes]) -> AsyncIterator[bytes]:
    """What `copy_to_table(format="binary")` reads."""
    yield HEADER
    for start in range(0, len(rows), CHUNK_ROWS):
        yield b"".join(rows[start : start + CHUNK_ROWS])
    yield TRAILER
