"""Jobs that decode history again: batch after batch, beside the projection that serves and after it.

An order is an event; its job is a row, which moves on with the readings. So after a crash of anything the next one
who looks goes on. One replica works, in which jobs of different organizations take turns.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
from nats.aio.client import Client

from contracts import subjects
from contracts.failures import Failure, Unavailable
from contracts.redecode import EndRedecode
from contracts.streams import MESSAGES
from contracts.subjects import HOSTED
from runtime import jetstream
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.pull import Entry, Pull
from services.telemetry import checkpoints, parting
from services.telemetry.checkpoints import Session
from services.telemetry.database import AWAY, UNSTORABLE
from services.telemetry.directory import Directory
from services.telemetry.messages import MessagesProjection
from services.telemetry.projector import Projector
from services.telemetry.redecode_job import Batch, Moved, Outcomes, replace
from services.telemetry.redecode_orders import Order
from services.telemetry.redecode_settling import settle

_log = log(part="redecode")
LOCK = 0x68796D73  # any number, the same for every replica
BATCH_MESSAGES = 2000
SUMMARIZE_EVERY = 20  # batches: what they wrote is found by its sequence without reading it through
LOOK_S = 1.0
# A filtered consumer costs the server 300 µs a message with a thousand devices, an unfiltered one and our own look
# 10 µs: the filter is for those who have few of all messages.
FILTER_COSTS = 30
PENDING_MAX = 1000  # of the projection that serves: above, it has the right of way
COURTESY_S = 1.0  # but a batch a second gets through: the job ends
SHARE = 0.5  # of a batch's own time that is left to others behind it
ACTOR = "telemetry"

End = Callable[[EndRedecode], Awaitable[Any]]

_TAKE = """
INSERT INTO redecodes (id, organization, integration, start, "end", decoder, decoder_version, ordered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_OPEN = (
    "SELECT id, state, sequence, last, through_ns, began_at FROM redecodes WHERE NOT reported"
    " ORDER BY ordered_at, id"
)
_START = (
    "UPDATE redecodes SET state = 'running', began_at = now(), first = $2::bigint, sequence = $2::bigint - 1,"
    " last = $3, log_from = $4, messages = 0, added = 0, removed = 0, changed = 0, failed = 0, resolved = 0,"
    " working_s = 0"
    " WHERE id = $1 AND state = 'ordered'"
)
_SKIP = "UPDATE redecodes SET sequence = $3 WHERE id = $1 AND sequence = $2 AND state = 'running'"
_STATE = "UPDATE redecodes SET state = $3 WHERE id = $1 AND state = $2"
_FINISH = "UPDATE redecodes SET state = $3, finished_at = now(), error = $4 WHERE id = $1 AND state = $2"
_REPORTED = "UPDATE redecodes SET reported = true WHERE id = $1"
_REBUILDING = "SELECT EXISTS (SELECT FROM rebuilds WHERE finished_at IS NULL)"
_NEW_EPOCH = "SELECT max(noticed_at) FROM epochs WHERE stream = $1 AND change <> 'none'"


class Redecoder:
    """`run()` is its task; `wake` tells it that something was asked. `end` tells the registry of an end."""

    def __init__(
        self,
        client: Client,
        pool: asyncpg.Pool,
        directory: Directory,
        projection: MessagesProjection,
        outcomes: Outcomes,
        live: Projector[Any],
        end: End,
    ) -> None:
        self._client, self._pool, self._directory = client, pool, directory
        self._projection, self._outcomes, self._live, self._end = projection, outcomes, live, end
        self._taken: set[str] = set()
        self._batches = 0
        self._pulls: dict[str, tuple[int, Pull]] = {}  # with the sequence that each has handed out
        self.wake = asyncio.Event()
        directory.on_order = lambda _: self.wake.set()

    async def run(self) -> None:
        """For ever."""
        await self._directory.complete.wait()
        while True:
            try:
                async with self._pool.acquire() as holder:
                    if await holder.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                        try:
                            await self._work(holder)
                        finally:
                            with suppress(*AWAY):
                                await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
            except (*AWAY, Failure, ApiError) as error:
                _log.warning("redecoding waits", error=repr(error))
            for id in list(self._pulls):
                await self._close(id)
            self._projection.forget()
            await asyncio.sleep(LOOK_S)

    async def _work(self, holder: Session) -> None:
        """Until something goes wrong: one batch of each job in turn."""
        while True:
            self.wake.clear()
            await self._take()
            worked = False
            if await holder.fetchval(_REBUILDING):
                self._projection.forget()  # other tables come
            else:
                for job in await holder.fetch(_OPEN):
                    worked |= await self._step(job)
            if not worked:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self.wake.wait()

    async def _take(self) -> None:
        """A row for each order that has none: also after the database was restored to before it."""
        for order in self._directory.orders.all():
            if order.id in self._taken:
                continue
            async with self._pool.acquire() as connection:
                await connection.execute(
                    _TAKE,
                    order.id,
                    order.organization,
                    order.integration,
                    order.start,
                    order.end,
                    json.dumps(order.wanted.model_dump(mode="json")),
                    order.choice.origin.version,
                    order.ordered_at,
                )
            self._taken.add(order.id)

    async def _step(self, job: asyncpg.Record) -> bool:
        """Whether anything was done."""
        id, state = job["id"], job["state"]
        order = next((each for each in self._directory.orders.all() if each.id == id), None)
        if order is None:
            return False  # the registry's event is on its way, or the database is of another registry
        if state != "running":
            await self._close(id)
        try:
            match state:
                case "ordered":
                    await self._start(order)
                case "running":
                    return await self._run_batch(order, job)
                case "settling" | "cancelling":
                    self._projection.forget()  # what it remembers of days may be less now
                    if not await settle(self._pool, id):
                        outcome = "done" if state == "settling" else "cancelled"
                        await self._execute(_FINISH, id, state, outcome, None)
                case "paused":
                    return False
                case _:
                    await self._report(order, job)
        except Moved:
            await self._close(id)
        except (*AWAY, Failure, ApiError):
            raise
        except Exception as error:  # noqa: BLE001  # a defect: this job's trouble, nobody else's
            _log.exception("a redecode failed", id=id)
            await self._close(id)
            await self._execute(_FINISH, id, state, "failed", repr(error))
        return True

    async def _start(self, order: Order) -> None:
        state = await jetstream.stream_state(self._client, MESSAGES.name)
        oldest = await parting.following(self._client, MESSAGES.name, state.first, ">")
        first = await parting.first_since(self._client, MESSAGES.name, order.start_ns, state)
        last = await parting.first_since(self._client, MESSAGES.name, order.end_ns, state) - 1
        log_from = None if oldest is None else parting.moment(oldest.time_ns)
        await self._execute(_START, order.id, first, last, log_from)

    async def _run_batch(self, order: Order, job: asyncpg.Record) -> bool:
        async with self._pool.acquire() as connection:
            held = await checkpoints.read(connection, "messages")
            changed = await connection.fetchval(_NEW_EPOCH, MESSAGES.name)
            if changed is not None and changed > job["began_at"]:
                await connection.execute(
                    _STATE, order.id, "running", "ordered"
                )  # its sequences are others now
                return True
            if held is None or held.sequence < job["last"]:
                return False  # what serves comes first: two would store the same readings
            segments = await checkpoints.lineage(connection, MESSAGES.name, 1)
        await self._courtesy()
        if self._batches % SUMMARIZE_EVERY == 0:
            await self._execute("SELECT hybridmq_summarize_samples()")
        self._batches += 1
        began = time.monotonic()
        entries = await self._next(order, job)
        if not entries:
            await self._close(order.id)
            await self._execute(_STATE, order.id, "running", "settling")
            return True
        behind = job["sequence"]
        for segment in segments:
            part = [
                entry
                for entry in entries
                if order.concerns(entry.subject)
                and segment.first <= entry.sequence
                and (segment.last is None or entry.sequence <= segment.last)
                and order.covers(entry.time_ns)
            ]
            if part:
                await self._replace(Batch(order, segment, part, behind))
                behind = part[-1].sequence
        if entries[-1].sequence > behind:
            await self._execute(_SKIP, order.id, behind, entries[-1].sequence)
        if order.id in self._pulls:
            self._pulls[order.id] = (entries[-1].sequence, self._pulls[order.id][1])
        await asyncio.sleep(SHARE * (time.monotonic() - began))
        return True

    async def _replace(self, batch: Batch, why: str | None = None) -> None:
        """What the database cannot take becomes a dead letter; the messages beside it do not suffer."""
        try:
            await replace(self._pool, self._projection, self._outcomes, batch, why)
        except UNSTORABLE as error:
            if len(batch.entries) == 1:
                if why is not None:
                    raise
                await self._replace(batch, repr(error))
                return
            middle = len(batch.entries) // 2
            first, second = batch.entries[:middle], batch.entries[middle:]
            await self._replace(batch._replace(entries=first))
            await self._replace(batch._replace(entries=second, behind=first[-1].sequence))

    async def _next(self, order: Order, job: asyncpg.Record) -> list[Entry]:
        """Entries behind the job's place; none where there are none in its range."""
        if order.only is not None:
            return await self._named(order.only, job["sequence"])
        held = self._pulls.get(order.id)
        if held is None or held[0] != job["sequence"]:
            await self._close(order.id)
            held_by_all = (await jetstream.stream_state(self._client, MESSAGES.name)).last
            start = job["sequence"] + 1
            wanted = await parting.matching(self._client, MESSAGES.name, start, filters(order))
            rare = wanted * FILTER_COSTS < held_by_all - start
            pull = Pull(
                self._client,
                MESSAGES.name,
                start=start,
                filters=filters(order) if rare else (),
                messages_max=2 * BATCH_MESSAGES,
                name="telemetry-redecode",
            )
            self._pulls[order.id] = (job["sequence"], pull)
        pull = self._pulls[order.id][1]
        while True:
            entries = await pull.next_batch(BATCH_MESSAGES, timeout_s=LOOK_S)
            if entries:
                return [entry for entry in entries if entry.sequence <= job["last"]]
            if not await self._more(order, job):
                return []

    async def _named(self, only: dict[int, int], behind: int) -> list[Entry]:
        """Of a retry: the log is not read through for a few messages."""
        entries = []
        for stored_ns, sequence in sorted(only.items(), key=lambda item: item[1]):
            if sequence > behind:
                found = await parting.at(self._client, MESSAGES.name, sequence)
                if found is not None and found.time_ns == stored_ns:  # else it is another log's
                    entries.append(parting.entry(found))
        return entries

    async def _more(self, order: Order, job: asyncpg.Record) -> bool:
        for subject in filters(order):
            found = await parting.following(self._client, MESSAGES.name, job["sequence"] + 1, subject)
            if found is not None and found.sequence <= job["last"]:
                return True
        return False

    async def _courtesy(self) -> None:
        waited = 0.0
        while self._live.pending > PENDING_MAX and waited < COURTESY_S:
            await asyncio.sleep(0.05)
            waited += 0.05

    async def _report(self, order: Order, job: asyncpg.Record) -> None:
        """Until the registry has it, a rebuild would take the order for all of its range."""
        through = None if job["state"] == "done" else job["through_ns"]
        request = EndRedecode(
            organization=order.organization,
            actor=ACTOR,
            id=order.id,
            outcome=job["state"],
            through_ns=through,
        )
        try:
            await self._end(request)
        except Unavailable as failure:
            _log.warning("the end of a redecode is told later", id=order.id, error=str(failure))
            await asyncio.sleep(LOOK_S)
            return
        await self._execute(_REPORTED, order.id)

    async def _execute(self, statement: str, *values: Any) -> None:
        async with self._pool.acquire() as connection:
            await connection.execute(statement, *values)

    async def _close(self, id: str) -> None:
        held = self._pulls.pop(id, None)
        if held is not None:
            await held[1].close()


def filters(order: Order) -> list[str]:
    """Subjects of the messages that an order may be about."""
    return [
        subjects.hosted_messages_of(order.organization)
        if source == HOSTED
        else subjects.messages_of_source(order.organization, source)
        for source in order.sources
    ]
