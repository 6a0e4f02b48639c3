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


class CommandLog:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = EventLog(client, COMMANDS.name)

    async def read(self, key: CommandKey) -> DeviceCommand | None:
        """As it stands, its payload with it; None where it is not known any more."""
        return fold(await self._log.read(key.subject))

    async def happen(self, key: CommandKey, happening: Happening) -> DeviceCommand | None:
        """The command after it; None where nothing is new. Waits for a log that is away."""
        while True:
            try:
                return await self._happen(key, happening)
            except Refused:  # somebody else wrote in between
                await asyncio.sleep(CONFLICT_S)
            except Unavailable as failure:
                _log.warning("a command cannot be recorded yet", command=key.id, error=failure.detail)
                await asyncio.sleep(AWAY_S)

    async def _happen(self, key: CommandKey, happening: Happening) -> DeviceCommand | None:
        events = await self._log.read(key.subject)
        held, now = fold(events), datetime.now(UTC)
        news = decide(happening, held, now) if held is not None else []
        if not news:
            return None
        append = Append(key.subject, news[0], events[-1].sequence)
        [recorded] = await self._log.append([append], cause=Cause(SOURCE, SOURCE), now=now)
        return evolve(held, recorded)


async def first_since(client: Client, stream: str, moment: datetime) -> int | None:
    """The sequence of the first message that the stream stored at or after this; None where there is none.

    Raises Unavailable("log.unavailable").
    """
    query = {"start_time": moment.isoformat(), "next_by_subj": ">", "batch": 1}
    found = await jetstream.direct_batch(client, stream, query)
    return int((found[0].headers or {})["Nats-Sequence"]) if found else None
