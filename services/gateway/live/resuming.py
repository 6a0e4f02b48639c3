"""How a reader that comes back gets what it missed: from history, and then from the tail, without gap or double.

It joins the tails first, which hold back for it what is new; then history is read up to where they were. Where
too much comes meanwhile, what was held is dropped, and history is read on; so it is where a reader takes less than
comes: it goes on at its own pace.
"""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from runtime import jetstream
from services.gateway.live import history, position, wire
from services.gateway.live.hub import Hub, entry_of, gap, placed
from services.gateway.live.logs import Log, Logged
from services.gateway.live.position import Place
from services.gateway.live.reader import Reader
from services.gateway.live.reading import Choose, Reading
from services.gateway.live.tail import Tail
from services.gateway.live.wire import Event

AT_ONCE_MAX = 16  # pages of history under way: the thousand readers of a stopped replica come in turn


class Resuming:
    def __init__(
        self, client: Client, hub: Hub, tails: dict[str, Tail], choose: Choose, *, send_s: float
    ) -> None:
        self._client, self._hub, self._tails, self._choose = client, hub, tails, choose
        self._send_s = send_s
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def gaps(self, reader: Reader) -> list[Event]:
        """What the logs no longer have behind the reader's places, which are moved there."""
        logs = [log for log in reader.selection.logs if log.letter in (reader.places or {})]
        found = []
        for log in logs:
            assert reader.places is not None
            place = reader.places[log.letter]
            state = await jetstream.stream_state(self._client, log.stream)
            if place.sequence > state.last:
                found.append((log, "recreated", place.sequence, state.last + 1))
            elif place.sequence + 1 < state.first:
                found.append((log, "trimmed", place.sequence, state.first))
            else:
                continue
            reader.places = {**reader.places, log.letter: Place(found[-1][3] - 1)}
        return [gap(*each, reader.places or {}) for each in found]

    async def catch_up(self, reader: Reader) -> None:
        """Returns when the reader is live. Raises TimeoutError for one that takes nothing, Unavailable."""
        if reader.places is None:
            reader.hold()
            reader.places = self._hub.join(reader)
            reader.write(wire.begins(reader.form, position.shown(reader.places)))
            reader.go_live()
            return
        self._hub.part(reader)
        await self._taken(reader)
        reading = Reading(self._choose)
        while True:
            for letter, place in reader.places.items():
                await self._tails[letter].reached(place.sequence + bool(place.events))
            reader.hold()
            until = self._hub.join(reader)
            reader.places = {**until, **reader.places}  # a log that is new to it begins now
            for log in reader.selection.logs:
                last = until[log.letter]
                await self._read(reader, log, last.sequence, reading)
                reader.places = {**reader.places, log.letter: last}
            if not reader.behind.is_set():
                break
            self._hub.part(reader)
        self._hub.learn(reader, reading)
        reader.go_live()

    async def _read(self, reader: Reader, log: Log, last: int, reading: Reading) -> None:
        assert reader.places is not None
        place = reader.places[log.letter]
        pages = history.between(self._client, log, reader.organization, place.sequence, last)
        while True:
            async with self._turns:
                page = await anext(pages, None)
                if page is None:
                    return
                state = await jetstream.stream_state(self._client, log.stream)
            before = reader.places[log.letter]
            if state.first > before.sequence + 1:  # trimmed while it read
                missed = (before.sequence, state.first)
                reader.places = {**reader.places, log.letter: Place(state.first - 1)}
                self._write(reader, [gap(log, "trimmed", *missed, reader.places)])
            for logged in page:
                self._write(reader, self._events(reader, log, logged, reading))
                reader.places = {**reader.places, log.letter: Place(logged.sequence)}
            await self._taken(reader)

    async def _taken(self, reader: Reader) -> None:
        async with asyncio.timeout(self._send_s):
            await reader.socket.drain()

    def _events(self, reader: Reader, log: Log, logged: Logged, reading: Reading) -> list[Event]:
        """Without those that it has of this entry already."""
        assert reader.places is not None
        place = reader.places[log.letter]
        entry = entry_of(log, logged, reader.organization, reading)
        said = [] if entry is None else entry.events(reader.selection)
        known = place.events if logged.sequence == place.sequence + 1 else 0
        return placed(said, log, logged.sequence, reader.places)[known:]

    def _write(self, reader: Reader, events: list[Event]) -> None:
        if events:
            reader.write(wire.encoded(reader.form, events))
