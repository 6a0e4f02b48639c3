"""What a log already holds of an organization, page by page: for readers that come back."""

from __future__ import annotations

from collections.abc import AsyncIterator

from nats.aio.client import Client

from runtime import jetstream
from runtime.jetstream import parse_time_ns
from services.gateway.live.logs import Log, Logged

PAGE_MAX = 200
PAGE_BYTES_MAX = 1024 * 1024


async def page(client: Client, log: Log, organization: str, after: int) -> list[Logged]:
    """The next entries behind this sequence; none where there are none.

    No consumer, so a thousand readers that come back at once make none. Raises Unavailable("log.unavailable").
    """
    query = {
        "seq": after + 1,
        "batch": PAGE_MAX,
        "max_bytes": PAGE_BYTES_MAX,
        "next_by_subj": log.of_organization(organization),
    }
    entries = []
    for message in await jetstream.direct_batch(client, log.stream, query):
        headers = message.headers or {}
        entries.append(
            Logged(
                int(headers["Nats-Sequence"]),
                headers["Nats-Subject"],
                headers,
                message.data,
                parse_time_ns(headers["Nats-Time-Stamp"]),
            )
        )
    return entries


async def between(
    client: Client, log: Log, organization: str, after: int, last: int
) -> AsyncIterator[list[Logged]]:
    """Pages of what is behind `after`, up to and with `last`."""
    while after < last:
        entries = await page(client, log, organization, after)
        if not entries:
            return
        after = entries[-1].sequence
        if wanted := [entry for entry in entries if entry.sequence <= last]:
            yield wanted
