"""Commands to devices in their log: read, decide, append; another replica may have been faster."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from nats.aio.client import Client

from contracts import subjects
from contracts.device_command_state import DeviceCommand, Happening, decide, evolve, fold
from contracts.envelope import Cause
from contracts.failures import Refused, Unavailable
from contracts.streams import COMMANDS
from runtime import jetstream
from runtime.event_log import Append, EventLog
from runtime.observe import log

_log = log(part="commands")
SOURCE = "ingest"
CONFLICT_S, AWAY_S = 0.02, 0.5


class CommandKey(NamedTuple):
    organization: str
    id: str

    @property
    def subject(self) -> str:
        return subjects.device_command(*self)


class Known(NamedTuple):
    """A command as it stood at this sequence, its payload with it."""

    held: DeviceCommand
    last: int


class CommandLog:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = EventLog(client, COMMANDS.name)

    async def read(self, key: CommandKey) -> Known | None:
        """None where it is not known any more."""
        events = await self._log.read(key.subject)
        held = fold(events)
        return None if held is None else Known(held, events[-1].sequence)

    async def happen(self, key: CommandKey, happening: Happening, known: Known | None = None) -> Known | None:
        """The command after it; None where nothing is new. Waits for a log that is away.

        `known` saves a look: where it is outdated, the append says so.
        """
        while True:
            try:
                known = known or await self.read(key)
                return None if known is None else await self._append(key, happening, known)
            except Refused:  # somebody else wrote in between
                await asyncio.sleep(CONFLICT_S)
            except Unavailable as failure:
                _log.warning("a command cannot be recorded yet", command=key.id, error=failure.detail)
                await asyncio.sleep(AWAY_S)
            known = None

    async def _append(self, key: CommandKey, happening: Happening, known: Known) -> Known | None:
        now = datetime.now(UTC)
        news = decide(happening, known.held, now)
        if not news:
            return None
        append = Append(key.subject, news[0], known.last)
        [recorded] = await self._log.append([append], cause=Cause(SOURCE, SOURCE), now=now)
        held = evolve(known.held, recorded)
        assert held is not None
        return Known(held, recorded.sequence)


async def first_since(client: Client, stream: str, moment: datetime) -> int | None:
    """The sequence of the first message that the stream stored at or after this; None where there is none.

    Raises Unavailable("log.unavailable").
    """
    query = {"start_time": moment.isoformat(), "next_by_subj": ">", "batch": 1}
    found = await jetstream.direct_batch(client, stream, query)
    return int((found[0].headers or {})["Nats-Sequence"]) if found else None
