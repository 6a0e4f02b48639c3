"""Where a restored stream parts from what is stored of it: the last message that both have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from nats.aio.client import Client
from uuid_utils import uuid7

from runtime import jetstream
from runtime.pull import Entry


class Found(NamedTuple):
    """A message as the stream has it now."""

    subject: str
    headers: dict[str, str]
    data: bytes
    sequence: int
    time_ns: int


Known = Callable[[Found], Awaitable[bool | None]]
"""Whether rows of this very message are stored; None where nothing is made of such messages."""


async def at(client: Client, stream: str, sequence: int) -> Found | None:
    """The message of this sequence; None where the stream has none."""
    found = await following(client, stream, sequence, ">")
    return found if found is not None and found.sequence == sequence else None


async def following(client: Client, stream: str, sequence: int, subject: str) -> Found | None:
    """The first message of such a subject from this sequence on."""
    query = {"seq": max(1, sequence), "next_by_subj": subject, "batch": 1}
    for message in await jetstream.direct_batch(client, stream, query):
        headers = dict(message.headers or {})
        time_ns = jetstream.parse_time_ns(headers["Nats-Time-Stamp"])
        return Found(headers["Nats-Subject"], headers, message.data, int(headers["Nats-Sequence"]), time_ns)
    return None


async def last_common(
    client: Client, stream: str, subject: str, first: int, last: int, known: Known, since_ns: int
) -> Found | None:
    """The last message from `first` to `last` whose rows are stored; None where there is none.

    By bisection: up to where they part the stream is what was stored, behind it nothing is. Rows older than
    `since_ns` may have been dropped: such messages count as stored.
    """
    common: Found | None = None
    low, high = first, last  # all below `low` is common, none above `high`
    while low <= high:
        middle = (low + high) // 2
        found, stored = await _decisive(client, stream, subject, middle, high, known, since_ns)
        if found is not None and stored:
            common, low = found, found.sequence + 1
        else:
            high = middle - 1
    return common


async def _decisive(
    client: Client, stream: str, subject: str, start: int, high: int, known: Known, since_ns: int
) -> tuple[Found | None, bool]:
    """The first message from `start` on of which rows must be stored, and whether they are."""
    while True:
        found = await following(client, stream, start, subject)
        if found is None or found.sequence > high:
            return None, False
        stored = True if found.time_ns < since_ns else await known(found)
        if stored is not None:
            return found, stored
        start = found.sequence + 1


async def first_since(client: Client, stream: str, time_ns: int, state: jetstream.StreamState) -> int:
    """The first sequence that was stored at this time or later; behind the end where there is none."""
    low, high = max(state.first, 1), state.last + 1
    while low < high:
        middle = (low + high) // 2
        found = await following(client, stream, middle, ">")
        if found is None or found.time_ns >= time_ns:
            high = middle
        else:
            low = found.sequence + 1
    return low


def entry(found: Found) -> Entry:
    """As a reader of the stream gets it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in found.headers.items())
    raw = f"NATS/1.0\r\n{lines}\r\n".encode()
    return Entry(found.subject, raw, found.data, found.sequence, found.time_ns, 0)


def moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC) + timedelta(
        0, 0, time_ns // 1000 % 1_000_000
    )


async def matching(client: Client, stream: str, start: int, filters: list[str]) -> int:
    """How many messages of these subjects the stream has from `start` on."""
    name = f"telemetry-count-{uuid7().hex[-12:]}"
    config = {
        "name": name,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(1, start),
        "ack_policy": "none",
        "filter_subjects": filters,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 1_000_000_000,  # gone by itself
    }
    subject = f"$JS.API.CONSUMER.CREATE.{stream}.{name}"
    answer = await jetstream.request(client, subject, {"stream_name": stream, "config": config})
    return int(answer["num_pending"])
