"""What stateful decoders know of their senders, as of each message of the log.

In memory each sender's states stand with the sequences that made them, so a batch that is prepared ahead, once more
or in halves finds the same. The database has every part as of every birth: a message of the past is decoded
again by what was known then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from contracts.decoders.choice import Choice
from contracts.decoders.model import State, Stateful
from runtime.observe import log
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY
from services.telemetry.place import Checkpoint

_log = log(part="states")
SENDERS_MAX = 5_000  # remembered beyond what is in hand; some 20 MB with births of a hundred names

Sender = tuple[str, str, str]
"""Organization, source, and the decoder's own key."""

# Named with their schema: a rebuild finds here what the log does not hold any more, and writes the same again.
_PARTS = (
    "SELECT DISTINCT ON (w.at, s.part) w.at, s.part, s.value FROM unnest($1::text[], $2::text[], $3::text[])"
    " WITH ORDINALITY AS w (organization, source, sender, at)"
    " JOIN public.decoder_states s USING (organization, source, sender)"
    " WHERE (s.epoch, s.sequence) < ($4, $5) ORDER BY w.at, s.part, s.epoch DESC, s.sequence DESC"
)
_COUNTERS = (
    "SELECT w.at, c.counter FROM unnest($1::text[], $2::text[], $3::text[])"
    " WITH ORDINALITY AS w (organization, source, sender, at)"
    " JOIN public.decoder_counters c USING (organization, source, sender)"
    " WHERE (c.epoch, c.sequence) < ($4, $5)"
)
_SET_PARTS = (
    "INSERT INTO public.decoder_states (organization, source, sender, part, epoch, sequence, since, value)"
    " SELECT o, s, n, p, $5, q, t, v FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $6::bigint[],"
    " $7::timestamptz[], $8::bytea[]) AS x (o, s, n, p, q, t, v)"
    " ON CONFLICT (organization, source, sender, part, epoch, sequence) DO UPDATE SET value = excluded.value"
)
_SET_COUNTERS = (
    "INSERT INTO public.decoder_counters AS held (organization, source, sender, epoch, sequence, counter)"
    " SELECT o, s, n, $4, q, c FROM unnest($1::text[], $2::text[], $3::text[], $5::bigint[], $6::int[])"
    " AS x (o, s, n, q, c)"
    " ON CONFLICT (organization, source, sender) DO UPDATE SET epoch = excluded.epoch,"
    " sequence = excluded.sequence, counter = excluded.counter"
    " WHERE (held.epoch, held.sequence) < (excluded.epoch, excluded.sequence)"
)
_FORGET = (
    "DELETE FROM public.decoder_states s WHERE s.since < now() - $1 * interval '1 day' AND"
    " (s.value IS NULL OR EXISTS (SELECT FROM public.decoder_states n WHERE n.organization = s.organization"
    " AND n.source = s.source AND n.sender = s.sender AND n.part = s.part"
    " AND n.since < now() - $1 * interval '1 day' AND (n.epoch, n.sequence) > (s.epoch, s.sequence)))"
)


class Learnt(NamedTuple):
    """What one message changed."""

    sender: Sender
    sequence: int
    received: datetime
    before: State
    after: State
    decoder: Stateful


_NOTHING = State({})


class States:
    """`load` before a batch is decoded, `at` and `put` while it is, `store` in its transaction."""

    def __init__(self) -> None:
        self._held: dict[Sender, list[tuple[int, State]]] = {}  # by the sequence of what made each
        self._in_hand: dict[
            Sender, int
        ] = {}  # the last batch that has messages of theirs, by its first sequence

    async def load(
        self, pool: asyncpg.Pool, wanted: Iterable[tuple[Sender, Stateful]], place: Checkpoint, first: int
    ) -> None:
        """What was known before `first`, the batch's first sequence, of senders that are not in memory."""
        missing = {}
        for sender, decoder in wanted:
            self._in_hand[sender] = first
            if sender not in self._held:
                missing[sender] = decoder
        if not missing:
            return
        senders = sorted(missing)
        columns = [list(column) for column in zip(*senders, strict=True)]
        async with pool.acquire() as connection:
            parts = await connection.fetch(_PARTS, *columns, place.epoch, first)
            counters = await connection.fetch(_COUNTERS, *columns, place.epoch, first)
        found: list[dict[str, Any]] = [{} for _ in senders]
        for row in parts:
            if row["value"] is not None:
                found[row["at"] - 1][row["part"]] = missing[senders[row["at"] - 1]].load(row["value"])
        last = {row["at"] - 1: row["counter"] for row in counters}
        for at, sender in enumerate(senders):
            self._held[sender] = [(-1, State(found[at], last.get(at, -1)))]

    def at(self, sender: Sender, sequence: int) -> State:
        """As it was before this message."""
        held = self._held.get(sender, [])
        return next((state for made, state in reversed(held) if made < sequence), _NOTHING)

    def put(self, sender: Sender, sequence: int, state: State) -> None:
        held = self._held.setdefault(sender, [])
        while held and held[-1][0] >= sequence:  # of a batch that is decoded once more
            held.pop()
        held.append((sequence, state))

    async def store(self, connection: Session, learnt: Sequence[Learnt], epoch: int) -> None:
        if not learnt:
            return
        parts = [
            (*one.sender, part, one.sequence, one.received, value and one.decoder.dump(value))
            for one in learnt
            for part, value in _changed(one.before, one.after)
        ]
        if parts:
            o, s, n, p, q, t, v = (list(column) for column in zip(*parts, strict=True))
            await connection.execute(_SET_PARTS, o, s, n, p, epoch, q, t, v)
        last = {one.sender: one for one in learnt}
        counted = [(*sender, last[sender].sequence, last[sender].after.counter) for sender in sorted(last)]
        o, s, n, q, c = (list(column) for column in zip(*counted, strict=True))
        await connection.execute(_SET_COUNTERS, o, s, n, epoch, q, c)

    def committed(self, sequence: int, learnt: Sequence[Learnt]) -> None:
        """Nobody asks any more for what was before this."""
        for sender in {one.sender for one in learnt}:
            held = self._held.get(sender, [])
            while len(held) > 1 and held[1][0] <= sequence:
                del held[0]
        if len(self._held) > SENDERS_MAX:
            self._in_hand = {sender: first for sender, first in self._in_hand.items() if first > sequence}
            settled = [
                sender
                for sender, held in self._held.items()
                if held[-1][0] <= sequence and sender not in self._in_hand
            ]
            for sender in settled[: len(self._held) - SENDERS_MAX // 2]:
                del self._held[sender]

    def __len__(self) -> int:
        """Senders in memory."""
        return len(self._held)

    def forget(self) -> None:
        self._held.clear()
        self._in_hand.clear()


def _changed(before: State, after: State) -> Iterable[tuple[str, Any]]:
    """Parts that are other objects than before; None for those that are gone."""
    for part, value in after.parts.items():
        if before.parts.get(part) is not value:
            yield part, value
    for part in before.parts.keys() - after.parts.keys():
        yield part, None


def sender_of(choice: Choice, organization: str, source: str, topic: str) -> Sender | None:
    """Whose state a message needs, if any; raises Unprocessable for a topic that the decoder cannot read."""
    if choice.stateful is None:
        return None
    key = choice.stateful.state_key(topic)
    return None if key is None else (organization, source, key)


async def forget_old(pool: asyncpg.Pool, days: int, every_s: float) -> None:
    """For ever: what was known when messages came that are kept no longer."""
    while True:
        try:
            done = await pool.execute(_FORGET, days)
            _log.debug("old states deleted", done=done)
        except AWAY as error:
            _log.warning("old states stay for now", error=repr(error))
        await asyncio.sleep(every_s)
