"""A webhook's reading of one log, from its own place on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client

from contracts.failures import Unavailable
from contracts.webhook_deliveries import Place, Source
from runtime import jetstream
from runtime.pull import Pull
from services.ingest.commands_log import first_since
from services.ingest.webhooks.reading import Found

HELD_MESSAGES_MAX = 2_000
ASKED_AT_ONCE = 25
ANSWER_S = 2.0
HELD_BYTES_MAX = 2 * 1024 * 1024  # one message, with its headers, fits


class Opened(NamedTuple):
    pull: Pull
    place: Place
    skipped: int  # messages that the log let go of before they were looked at: at most so many were meant


async def open_feed(
    client: Client, source: Source, filters: tuple[str, ...], held: Place | None, since: datetime
) -> Opened:
    """Behind the place that is held; without one, or where it is older, from `since` on. Raises Unavailable, ApiError.

    A log that was restored or made anew is read on from when the last message was stored that was looked at.
    """
    state = await jetstream.stream_state(client, source)
    skipped = 0
    if held is not None and held.at_ns < _ns(since):
        held = None
    if held is not None and held.epoch == state.created and held.sequence <= state.last:
        start = held.sequence + 1
        skipped = max(state.first - start, 0)
        at_ns = held.at_ns
    else:
        if held is not None:
            since = datetime.fromtimestamp(held.at_ns / 1e9, UTC) + timedelta(microseconds=1)
        first = await first_since(client, source, since)
        start = state.last + 1 if first is None else first
        at_ns = _ns(since)
    place = Place(epoch=state.created, sequence=max(start, state.first) - 1, at_ns=at_ns)
    pull = Pull(
        client,
        source,
        start=place.sequence + 1,
        filters=filters,
        messages_max=HELD_MESSAGES_MAX,
        bytes_max=HELD_BYTES_MAX,
        name="webhook",
    )
    return Opened(pull, place, skipped)


async def fetched(client: Client, source: Source, sequences: Sequence[int]) -> list[Found]:
    """These messages, as far as the log holds them. Raises Unavailable."""
    found: list[Found] = []
    for start in range(0, len(sequences), ASKED_AT_ONCE):
        some = sequences[start : start + ASKED_AT_ONCE]
        answers = await asyncio.gather(*(_fetched(client, source, sequence) for sequence in some))
        found += [each for each in answers if each is not None]
    return found


async def _fetched(client: Client, source: Source, sequence: int) -> Found | None:
    subject = f"$JS.API.DIRECT.GET.{source}"
    try:
        message = await client.request(subject, b'{"seq":%d}' % sequence, timeout=ANSWER_S)
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise Unavailable("log.unavailable", f"reading {source}: {error!r}") from error
    headers = message.headers or {}
    if headers.get("Status") == "404":
        return None
    if "Status" in headers:
        raise Unavailable("log.unavailable", f"reading {source}: {headers}")
    at_ns = jetstream.parse_time_ns(headers["Nats-Time-Stamp"])
    return Found(headers["Nats-Subject"], headers, message.data, sequence, at_ns)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
