"""The REGISTRY, for whoever holds a part of it in memory: read from its beginning, and followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nats.aio.client import Client
from pydantic import ValidationError

from contracts import subjects, upcasts
from contracts.envelope import Recorded
from contracts.failures import Failure, Unavailable
from contracts.streams import REGISTRY
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.pull import Entry, Pull

_log = log(part="registry")
BATCH = 1000
QUIET_S = 0.5  # nothing for as long: there is nothing more
AWAY_S = 1.0


async def follow(
    client: Client,
    name: str,
    kinds: Sequence[subjects.EntityKind],
    apply: Callable[[Entry, Recorded], object],
    settled: Callable[[], None],
) -> None:
    """Calls `apply` with each event of these kinds, in order, until cancelled; `settled` first when all that stood
    in the log has been applied, so that what was made and deleted long ago is never begun, then behind each batch.

    An event that cannot be read or applied (Failure, ValidationError) is loud, and what it is of stays as it was:
    it must not keep everybody else's from being followed.
    """
    filters = [subjects.registry_of_kind(kind) for kind in kinds]
    pull = Pull(client, REGISTRY.name, start=1, filters=filters, name=name)
    complete = False
    while True:
        try:
            entries = await pull.next_batch(BATCH, timeout_s=None if complete else QUIET_S)
        except (Unavailable, ApiError) as error:
            _log.warning("the registry cannot be read", reader=name, error=str(error))
            await asyncio.sleep(AWAY_S)
            continue
        for entry in entries:
            _take(name, entry, apply)
        complete = complete or not entries or entries[-1].pending == 0
        if complete:
            settled()


def _take(name: str, entry: Entry, apply: Callable[[Entry, Recorded], object]) -> None:
    try:
        recorded = upcasts.decode(entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence)
        if recorded is not None:
            apply(entry, recorded)
    except (Failure, ValidationError) as error:
        _log.error(
            "an event of the registry cannot be used", reader=name, subject=entry.subject, error=str(error)
        )
