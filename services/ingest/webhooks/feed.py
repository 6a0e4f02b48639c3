"""A webhook's reading of one log, from its own place on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from nats.aio.client import Client

from contracts.webhook_deliveries import BATCH_MESSAGES_MAX, Place, Source
from runtime import jetstream
from runtime.pull import Pull
from services.ingest.commands_log import first_since
from services.ingest.webhooks.reading import Found

HELD_MESSAGES_MAX = 2 * BATCH_MESSAGES_MAX
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


async def fetched(client: Client, source: Source, sequences: tuple[int, ...]) -> list[Found]:
    """These messages, as far as the log holds them. Raises Unavailable."""
    found = []
    for sequence in sequences:
        for message in await jetstream.direct_batch(
            client, source, {"seq": sequence, "next_by_subj": ">", "batch": 1}
        ):
            headers = message.headers or {}
            if int(headers["Nats-Sequence"]) != sequence:
                continue
            at_ns = jetstream.parse_time_ns(headers["Nats-Time-Stamp"])
            found.append(Found(headers["Nats-Subject"], headers, message.data, sequence, at_ns))
    return found


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
