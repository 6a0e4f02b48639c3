"""Whether a device is online, since when and why: weighing what is said of it; `weigh` is pure.

Two witnesses speak by two logs: the device (its status, its last will) by MESSAGES, the broker (connections)
by ACTIVITY. Each says when; the newest word counts, in whichever order the logs are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.telemetry.checkpoints import Session

Why = Literal["status", "lwt", "connected", "disconnected"]
# What a device said before it was cut off may be stored this much later than the broker's word of the end.
LATE = timedelta(seconds=1)

_LOCK = (
    "SELECT device, online, since, why, at FROM presence WHERE device = ANY($1) ORDER BY device FOR UPDATE"
)
_STORE = (
    "INSERT INTO presence (device, organization, online, since, why, at)"
    " SELECT said.device, d.organization, said.online, said.since, said.why, said.at"
    " FROM unnest($1::int[], $2::bool[], $3::timestamptz[], $4::text[], $5::timestamptz[])"
    " AS said (device, online, since, why, at) JOIN devices d ON d.id = said.device ORDER BY said.device"
    " ON CONFLICT (device) DO UPDATE SET online = excluded.online, since = excluded.since,"
    " why = excluded.why, at = excluded.at"
)


class Word(NamedTuple):
    """`since` is when it began to be so, `at` when it was said."""

    online: bool
    since: datetime
    why: Why
    at: datetime


def weigh(held: Word | None, said: Word) -> Word:
    """What holds after this was said. At the same moment, offline counts."""
    if held is None:
        return said
    if said.at < held.at or (said.at == held.at and said.online):
        return held
    cut_off = held.why == "disconnected" and said.why == "status" and said.at - held.at <= LATE
    if cut_off and said.online:
        return held
    if said.online == held.online:
        # the broker's word of the end is firmer than a last will
        return held._replace(at=said.at, why=said.why if said.why == "disconnected" else held.why)
    return said


async def store(connection: Session, words: Mapping[int, Sequence[Word]]) -> None:
    """What was said of each device, in the order of its saying; within the projection's transaction."""
    devices = sorted(words)
    if not devices:
        return
    held = {
        row["device"]: Word(row["online"], row["since"], row["why"], row["at"])
        for row in await connection.fetch(_LOCK, devices)
    }
    now: dict[int, Word] = {}
    for device in devices:
        before = held.get(device)
        for said in words[device]:
            before = weigh(before, said)
        assert before is not None
        if before != held.get(device):
            now[device] = before
    if now:
        found = list(now.values())
        await connection.execute(
            _STORE,
            list(now),
            [word.online for word in found],
            [word.since for word in found],
            [word.why for word in found],
            [word.at for word in found],
        )
