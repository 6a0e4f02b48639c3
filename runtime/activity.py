"""Activity: what happened, for the people of an organization, into the ACTIVITY stream; never twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from uuid_utils import uuid7

from contracts import envelope, subjects
from contracts.activity import ActivityRecorded
from contracts.envelope import Cause
from contracts.failures import Unavailable
from runtime import jetstream
from runtime.bus import Bus
from runtime.fast_publish import header_lines
from runtime.jetstream import ApiError
from runtime.log_writer import MESSAGE_ID, LogWriter, Stored
from runtime.observe import log, with_trace

_log = log(part="activity")
ATTEMPTS = 3
RETRY_S = 0.2
SETTLE_S = 5.0  # how long a stop waits for the log
LINGER_S = 0.05  # people wait for it no longer; a storm of connects is stored in few batches
QUEUE_MAX = 10_000  # a flood of refusals is thinned out before it comes here; this bounds what is left of it


def _encoded(
    bus: Bus, organization: str, event: ActivityRecorded, actor: str, id: str | None, at: datetime | None
) -> tuple[str, dict[str, str], bytes]:
    id = id or str(uuid7())
    cause = Cause(actor, bus.name)
    headers, data = envelope.encode(event, id=id, time=at or datetime.now(UTC), cause=cause)
    headers[MESSAGE_ID] = id
    return subjects.activity(organization, event.kind), with_trace(headers), data


async def record(
    bus: Bus,
    organization: str,
    event: ActivityRecorded,
    actor: str,
    *,
    id: str | None = None,
    at: datetime | None = None,
) -> None:
    """Returns when the stream has it. Raises Unavailable("log.unavailable") after a few tries.

    The same `id` is stored once (within the stream's duplicate window); `at` is when it happened, else now.
    """
    subject, headers, data = _encoded(bus, organization, event, actor, id, at)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await jetstream.request(bus.client, subject, data, headers=headers, timeout_s=2.0)
        except ApiError as error:
            raise Unavailable("log.unavailable", f"{subject}: {error}") from error
        except Unavailable:
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(RETRY_S)
        else:
            return


class ActivityLog:
    """The same in the background, for whoever cannot wait; `run()` is its task.

    Memory is bounded: when the stream is away for long, the rest is counted, and the count is recorded.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._writer = LogWriter(bus.client, queue_messages_max=QUEUE_MAX, linger_s=LINGER_S)
        self._left_out: dict[str, int] = {}  # by organization
        self._under_way = 0  # noted and not stored yet
        self._settled = asyncio.Event()

    def note(
        self,
        organization: str,
        event: ActivityRecorded,
        actor: str,
        *,
        id: str | None = None,
        at: datetime | None = None,
        trace: str | None = None,
    ) -> None:
        """Is stored soon, in this order. `trace`: the traceparent it belongs to, else the current one."""
        if not self._write(organization, event, actor, id, at, trace):
            self._left_out[organization] = self._left_out.get(organization, 0) + 1

    async def run(self) -> None:
        """Writes until cancelled, and then what still waits."""
        writing = asyncio.create_task(self._writer.run())
        confessing = asyncio.create_task(self._confess())
        try:
            done, _ = await asyncio.wait((writing, confessing), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if not writing.done() and self._under_way:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._settled.wait(), SETTLE_S)
            for task in (writing, confessing):
                task.cancel()
            await asyncio.gather(writing, confessing, return_exceptions=True)

    async def _confess(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for organization, count in list(self._left_out.items()):
                event = ActivityRecorded(
                    kind="activity.left-out",
                    status="failed",
                    summary=f"{count} entries could not be stored: the activity log was away",
                    details={"count": count},
                )
                if self._write(organization, event, self._bus.name, None, None):
                    del self._left_out[organization]

    def _write(
        self,
        organization: str,
        event: ActivityRecorded,
        actor: str,
        id: str | None,
        at: datetime | None,
        trace: str | None = None,
    ) -> bool:
        subject, headers, data = _encoded(self._bus, organization, event, actor, id, at)
        if trace is not None:
            headers[envelope.TRACEPARENT] = trace
        try:
            self._writer.submit(subject, header_lines(headers), data, self._stored)
        except Unavailable:
            return False
        self._under_way += 1
        self._settled.clear()
        return True

    def _stored(self, stored: Stored | None) -> None:
        self._under_way -= 1
        if self._under_way == 0:
            self._settled.set()
        if stored is None:
            _log.error("an activity entry was refused by the log")
