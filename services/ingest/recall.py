"""After a restart: what a link took last, read back from MESSAGES, so that redelivered copies are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import unquote

import nats.errors
from nats.aio.client import Client

from contracts import messages
from contracts.failures import Unavailable
from contracts.streams import MESSAGES
from runtime.pull import Pull
from services.ingest.bridge import SINCE
from services.ingest.window import Window

_SILENCE_S = 5.0


async def recall(client: Client, subject: str) -> Window:
    """The window of the link whose messages this filter matches, as it stood.

    Raises Unavailable("log.unavailable").
    """
    window = Window()
    try:
        last = await client.request(
            f"$JS.API.DIRECT.GET.{MESSAGES.name}",
            json.dumps({"last_by_subj": subject}).encode(),
            timeout=_SILENCE_S,
        )
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise Unavailable("log.unavailable", f"reading {subject}: {error!r}") from error
    headers = last.headers or {}
    if "Status" in headers:
        if headers["Status"] == "404":
            return window
        raise Unavailable("log.unavailable", f"reading {subject}: {headers}")
    if SINCE not in headers:
        return window  # another writer's: nats-server was the hosted broker before
    end = int(headers["Nats-Sequence"])
    pull = Pull(client, MESSAGES.name, start=int(headers[SINCE]), filters=(subject,), name="recall")
    try:
        sequence = 0
        while sequence < end:
            batch = await pull.next_batch(1000, timeout_s=_SILENCE_S)
            if not batch:
                raise Unavailable("log.unavailable", f"reading {subject}: no answer")
            for entry in batch:
                sequence, held = entry.sequence, entry.headers
                if messages.MID in held:
                    mid = int(held[messages.MID])
                    window.remember(mid, _topic(entry.subject, held), entry.data, sequence)
    finally:
        await pull.close()
    return window


def _topic(subject: str, held: Mapping[str, str]) -> str:
    if messages.TOPIC in held:
        return unquote(held[messages.TOPIC])
    return messages.hosted_address(subject).topic
