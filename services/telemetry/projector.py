"""The projection engine: from the checkpoint on, in batches, rows and checkpoint in one transaction.

Whatever goes wrong (a database that is away, a crash, another replica that was faster) ends in the same
place: everything in hand is thrown away, the checkpoint is read again, and reading goes on behind it. So rows
are stored exactly once, whoever dies when. The next batch is decoded while this one commits; no more than
that one is ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import asyncpg
from nats.aio.client import Client
from opentelemetry.metrics import CallbackOptions, Observation

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import duration, log, meter, span
from runtime.pull import Entry, Pull
from services.telemetry import checkpoints, parting
from services.telemetry.checkpoints import Outdated, Overtaken, Session
from services.telemetry.database import AWAY, UNSTORABLE
from services.telemetry.parting import Found
from services.telemetry.place import Change, Checkpoint, place

_log = log(part="projector")
_batch = meter.create_histogram(
    "hybridmq.projection.batch",
    unit="{message}",
    description="Messages a transaction",
    explicit_bucket_boundaries_advisory=(1, 10, 30, 100, 300, 1000, 2000, 4000),
)
_messages = meter.create_counter(
    "hybridmq.projection.messages", unit="{message}", description="Messages whose rows are stored"
)
_rows = meter.create_counter("hybridmq.projection.rows", unit="{row}", description="Rows stored")
_commit = duration("hybridmq.projection.commit", "Time of a transaction")
_shown: list[Projector[Any]] = []  # one instrument has one callback, whoever makes it again is not heard


def _observe_pending(_: CallbackOptions) -> list[Observation]:
    return [Observation(each.pending, {"projection": each.name}) for each in _shown]


meter.create_observable_gauge(
    "hybridmq.projection.pending",
    callbacks=[_observe_pending],
    unit="{message}",
    description="Messages in the log that are not stored yet; 0 where another replica stores them",
)
BACKOFF_S = (0.1, 0.3, 1.0, 2.0, 5.0)
STAND_BY_S = 1.0

BatchT = TypeVar("BatchT")
Happened = Callable[[str, str, dict[str, Any]], Any]


class Projection(Protocol[BatchT]):
    """What is made of a stream. `prepare` may ask the database for ids, and decodes; `write` stores."""

    name: str
    stream: str
    subjects: str  # of the messages that rows are made of

    async def prepare(self, pool: asyncpg.Pool, entries: Sequence[Entry], place: Checkpoint) -> BatchT: ...

    async def prepare_unstorable(
        self, pool: asyncpg.Pool, entry: Entry, place: Checkpoint, why: str
    ) -> BatchT:
        """The same for a single entry that the database refused as it was."""
        ...

    async def write(self, connection: Session, batch: BatchT) -> int:
        """How many rows; runs in the checkpoint's transaction."""
        ...

    def committed(self, batch: BatchT) -> None: ...

    def links(self, batch: BatchT) -> list[str]:
        """Traceparents of what is in it."""
        ...

    async def known(self, connection: Session, found: Found) -> bool | None:
        """Whether rows of this very message are stored; None where nothing is made of such messages."""
        ...

    def forget(self) -> None:
        """Whatever is remembered of the database may not hold any more."""
        ...


class StreamChanged(Exception):
    """The stream under us is another one: its sequences mean something else."""


class Projector(Generic[BatchT]):
    """`run()` is its task; `trouble` is None while it can work. `name` is for one that reads beside another."""

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        projection: Projection[BatchT],
        happened: Happened,
        *,
        batch_messages_max: int = 4000,
        batch_bytes_max: int = 16 * 1024 * 1024,
        linger_messages: int = 200,
        linger_s: float = 0.004,
        days_kept: int = 30,
        name: str | None = None,
    ) -> None:
        self._client, self._pool, self._projection = client, pool, projection
        self._happened = happened
        self._messages_max, self._bytes_max = batch_messages_max, batch_bytes_max
        self._linger_messages, self._linger_s = linger_messages, linger_s
        self._kept = timedelta(days=days_kept)
        self.trouble: str | None = "starting"
        self.pending = 0
        self._place: Checkpoint | None = None
        self._name = name or projection.name
        self._labels = {"projection": self._name}
        for counter in (_messages, _rows):
            counter.add(0, self._labels)  # told from the start: that nothing comes is seen, too
        if name is None:
            _shown.append(self)

    @property
    def name(self) -> str:
        """What it is known by in metrics."""
        return self._name

    @property
    def stream(self) -> str:
        return self._projection.stream

    @property
    def sequence(self) -> int:
        """The last one whose rows are stored; 0 before that is known."""
        return 0 if self._place is None else self._place.sequence

    @property
    def place(self) -> Checkpoint | None:
        """The last checkpoint that was read or written here; another replica may have moved it on."""
        return self._place

    async def run(self) -> None:
        """For ever."""
        failures = 0
        while True:
            before = self._place
            try:
                await self._run_until_trouble()
            except Overtaken:
                _log.info("another replica works here: standing by", **self._labels)
                await self._stand_by()
                failures = 0
            except Outdated:
                _log.info("rows were changed: what was remembered of them is read again", **self._labels)
            except StreamChanged as change:
                _log.warning("the stream changed while it was read", error=str(change), **self._labels)
            except (*AWAY, Unavailable, ApiError) as error:
                failures = 1 if self._place != before else failures + 1
                self.trouble = repr(error)
                _log.warning("projection waits", error=self.trouble, failures=failures, **self._labels)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])
            self._projection.forget()

    async def _stand_by(self) -> None:
        """Until the checkpoint rests: whoever moves it is at work, and would only be raced."""
        held = None
        self.pending = 0  # what is pending is the other's to say
        while True:
            await asyncio.sleep(STAND_BY_S)
            try:
                async with self._pool.acquire() as connection:
                    now = await checkpoints.read(connection, self._projection.name)
            except AWAY:
                return
            if now == held:
                return
            held = now

    async def _run_until_trouble(self) -> None:
        await self._read_on(await self._find_place(), None)

    async def _read_on(self, at: Checkpoint, until: int | None) -> None:
        """From behind `at` to this sequence, which the stream has; None: for ever."""
        self._place = at
        pull = Pull(
            self._client,
            self._projection.stream,
            start=at.sequence + 1,
            messages_max=self._messages_max,
            bytes_max=self._bytes_max,
            name=f"telemetry-{self._name}",
            check=self._check_stream,
        )
        committing: asyncio.Task[Checkpoint] | None = None
        try:
            self.trouble = None
            while until is None or at.sequence < until:
                entries = await self._next(pull, committing)
                if committing is not None and (committing.done() or not entries):
                    await committing  # its failure is ours, as soon as it is known
                    committing = None
                if until is not None and entries and entries[-1].sequence > until:
                    entries = [entry for entry in entries if entry.sequence <= until]
                if not entries:
                    continue
                await self._look_for_gaps(at, entries)
                prepared = await self._prepare(entries, at)
                if committing is not None:
                    await committing
                committing = asyncio.create_task(self._commit(prepared, entries, at))
                at = _behind(at, entries)
                self.pending = entries[-1].pending
            if committing is not None:
                await committing
        finally:
            if committing is not None:
                committing.cancel()
                await asyncio.gather(committing, return_exceptions=True)
            await pull.close()

    async def _next(self, pull: Pull, committing: asyncio.Task[Checkpoint] | None) -> list[Entry]:
        entries = await pull.next_batch(self._messages_max, timeout_s=1.0 if committing is not None else None)
        if entries and len(entries) < min(self._linger_messages, self._messages_max):
            await asyncio.sleep(self._linger_s)
            entries += await pull.next_batch(self._messages_max - len(entries), timeout_s=0)
        return entries

    async def _prepare(self, entries: list[Entry], at: Checkpoint) -> BatchT | None:
        """None where the database cannot take one of them: `_commit` then goes one by one."""
        try:
            return await self._projection.prepare(self._pool, entries, at)
        except UNSTORABLE as error:
            _log.warning("a batch cannot be prepared as a whole", error=repr(error), **self._labels)
            return None

    async def _commit(self, prepared: BatchT | None, entries: list[Entry], at: Checkpoint) -> Checkpoint:
        if prepared is not None:
            try:
                return await self._store(prepared, at, entries)
            except UNSTORABLE as error:
                _log.error("a batch cannot be stored as a whole", error=repr(error), **self._labels)
                why = repr(error)
        else:
            why = "cannot be prepared"
        if len(entries) == 1:
            batch = await self._projection.prepare_unstorable(self._pool, entries[0], at, why)
            return await self._store(batch, at, entries)
        middle = len(entries) // 2
        for part in (entries[:middle], entries[middle:]):
            at = await self._commit(await self._prepare(part, at), part, at)
        return at

    async def _store(self, batch: BatchT, at: Checkpoint, entries: list[Entry]) -> Checkpoint:
        started = time.perf_counter()
        name = self._projection.name
        with span(f"project {name}", links=self._projection.links(batch), messages=len(entries)) as current:
            async with self._pool.acquire() as connection, connection.transaction():
                await checkpoints.advance(connection, name, at, entries[-1].sequence, entries[-1].time_ns)
                rows = await self._projection.write(connection, batch)
                await self._beside(connection, batch, entries)
            current.set_attribute("rows", rows)
            _commit.record(time.perf_counter() - started, self._labels)
        self._projection.committed(batch)
        self._place = _behind(at, entries)
        _batch.record(len(entries), self._labels)
        _messages.add(len(entries), self._labels)
        _rows.add(rows, self._labels)
        return self._place

    async def _beside(self, connection: Session, batch: BatchT, entries: list[Entry]) -> None:
        """Whatever else belongs into the transaction of the rows."""

    async def _find_place(self) -> Checkpoint:
        """Where to go on, in an epoch of its own if the stream is not the one that it was."""
        name, stream = self._projection.name, self._projection.stream
        state = await jetstream.stream_state(self._client, stream)
        async with self._pool.acquire() as connection:
            held = await checkpoints.read(connection, name)
            if held is None:
                start = max(state.first, 1)
                return await checkpoints.begin_epoch(connection, name, stream, state.created, start - 1, None)
            found = place(held, state.created, state.first, state.last, await self._time_of(held.sequence))
            if found.change != "none":
                self.trouble = f"{stream} was {found.change}: looking for what it shares with what is stored"
                return await self._begin_again(connection, held, state, found.change)
            if found.trimmed:
                await self._trimmed(held, found.start, found.trimmed)
                await checkpoints.advance(connection, name, held, found.start - 1, None)
                return held._replace(sequence=found.start - 1, time_ns=None)
            return held

    async def _begin_again(
        self, connection: Session, held: Checkpoint, state: jetstream.StreamState, change: Change
    ) -> Checkpoint:
        """Behind the last message that the stream and the rows have in common: nothing is stored twice."""
        name, stream = self._projection.name, self._projection.stream
        first = max(state.first, 1)
        since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - self._kept
        common = await parting.last_common(
            self._client,
            stream,
            self._projection.subjects,
            first,
            min(state.last, held.sequence),
            lambda found: self._projection.known(connection, found),
            int(since.timestamp()) * 1_000_000_000,
        )
        behind, time_ns = (first - 1, None) if common is None else (common.sequence, common.time_ns)
        begun = await checkpoints.begin_epoch(
            connection, name, stream, state.created, behind, held, change, time_ns
        )
        details = {"stream": stream, "projection": name, "epoch": held.epoch, "sequence": held.sequence}
        details |= {"change": change, "start": behind + 1, "new_epoch": begun.epoch}
        _log.error("the stream is not the one that was read", **details)
        summary = f"{stream} was {change}: reading goes on at {behind + 1}, in epoch {begun.epoch}"
        if held.sequence > behind:
            summary += f"; what was stored of {behind + 1} to {held.sequence} is in the database only"
        await self._happened("log.epoch_changed", summary, details)
        return begun

    async def _time_of(self, sequence: int) -> int | None:
        found = await parting.at(self._client, self._projection.stream, sequence) if sequence else None
        return None if found is None else found.time_ns

    async def _check_stream(self) -> None:
        """Behind each restart of the pull: sequences are counted in the stream that we think of."""
        state = await jetstream.stream_state(self._client, self._projection.stream)
        held = self._place
        assert held is not None
        now = place(held, state.created, state.first, state.last, await self._time_of(held.sequence))
        if now.change != "none":
            raise StreamChanged(f"{self._projection.stream}: {now.change}, created {state.created}")

    async def _look_for_gaps(self, at: Checkpoint, entries: list[Entry]) -> None:
        missing = entries[-1].sequence - at.sequence - len(entries)
        if missing:
            await self._trimmed(at, entries[0].sequence, missing)

    async def _trimmed(self, held: Checkpoint, start: int, count: int) -> None:
        stream = self._projection.stream
        details = {"stream": stream, "projection": self._projection.name, "epoch": held.epoch, "count": count}
        _log.error("the stream let messages go before they were read", start=start, **details)
        summary = f"{stream} let {count} messages go before they were read"
        await self._happened("log.trimmed", summary, {**details, "sequence": held.sequence})


def _behind(at: Checkpoint, entries: list[Entry]) -> Checkpoint:
    return at._replace(sequence=entries[-1].sequence, time_ns=entries[-1].time_ns)
