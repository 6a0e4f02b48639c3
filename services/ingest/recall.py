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
from runtime import jetstream
from runtime.pull import Pull
from services.ingest.bridge import SINCE
from services.ingest.window import Window

_SILENCE_S = 5.0
AT_ONCE = 1_000


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
    since, end = int(headers[SINCE]), int(headers["Nats-Sequence"])
    # One request is all that most links need: a consumer each would be hundreds when a replica dies.
    sequence = since - 1
    for message in await jetstream.direct_batch(
        client, MESSAGES.name, {"seq": since, "next_by_subj": subject, "batch": AT_ONCE}, timeout_s=_SILENCE_S
    ):
        held = message.headers or {}
        sequence = int(held["Nats-Sequence"])
        _remember(window, held["Nats-Subject"], held, message.data, sequence)
    if sequence >= end:
        return window
    pull = Pull(client, MESSAGES.name, start=sequence + 1, filters=(subject,), name="recall")
    try:
        while sequence < end:
            batch = await pull.next_batch(1000, timeout_s=_SILENCE_S)
            if not batch:
                raise Unavailable("log.unavailable", f"reading {subject}: no answer")
            for entry in batch:
                sequence = entry.sequence
                _remember(window, entry.subject, entry.headers, entry.data, sequence)
    finally:
        await pull.close()
    return window


def _remember(window: Window, subject: str, held: Mapping[str, str], data: bytes, sequence: int) -> None:
    if messages.MID in held:
        window.remember(int(held[messages.MID]), _topic(subject, held), data, sequence)


def _topic(subject: str, held: Mapping[str, str]) -> str:
    if messages.TOPIC in held:
        return unquote(held[messages.TOPIC])
    return messages.hosted_address(subject).topic
