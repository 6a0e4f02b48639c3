"""One command over its connection: read anew, sent if it is not too late, each step recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from contracts.activity import ActivityRecorded
from contracts.broker_topics import TopicFilter
from contracts.device_command_state import Acknowledged, Declined, Left, step
from contracts.failures import Failure, Refused, Unavailable
from contracts.subjects import HOSTED
from contracts.topics import covers
from runtime.activity import ActivityLog
from runtime.observe import log, span
from services.ingest.commands_log import SOURCE, CommandKey, CommandLog, Known
from services.ingest.links import Key
from services.ingest.session import Session
from services.ingest.wishes import Wishes

_log = log(part="commands")

SessionOf = Callable[[Key], Session | None]
FiltersOf = Callable[[Key], tuple[str, ...]]


class Sending:
    def __init__(
        self, commands: CommandLog, session_of: SessionOf, filters_of: FiltersOf, activity: ActivityLog
    ) -> None:
        """`session_of`: a link's session, if this process has it; `filters_of`: what it subscribes to."""
        self._commands, self._activity = commands, activity
        self._session_of, self._filters_of = session_of, filters_of
        self._listening: dict[tuple[Key, str], Session] = {}  # topics subscribed to for an answer's sake
        self._chores: set[asyncio.Task[None]] = set()

    async def send(self, link: Key, command: CommandKey) -> bool:
        """False where it cannot be sent now."""
        try:
            known = await self._commands.read(command)
            if known is None or step(known.held, datetime.now(UTC)) != "send":
                return True
            session = self._session_of(link)
            if session is None:
                return False
            with span("device command", command=command.id):
                await self._publish(link, session, command, known)
        except Refused as refused:
            await self.ended(command, await self._commands.happen(command, _declined(refused)))
        except Unavailable as failure:
            _log.info("a command waits", command=command.id, reason=failure.detail)
            return False
        return True

    async def _publish(self, link: Key, session: Session, command: CommandKey, known: Known) -> None:
        held, queued = known.held, known.held.queued
        if queued.answer_expected:
            await self.listen(link, queued.response_topic)
        left_s = (held.expires_at - datetime.now(UTC)).total_seconds()
        wishes = Wishes(
            queued.response_topic if queued.answer_expected else None,
            queued.correlation_id.encode(),
            # A retained one is a state, which stays.
            None if queued.retain else max(1, int(left_s)),
        )
        publishing = asyncio.create_task(
            session.publish(
                queued.topic, queued.payload_bytes(), qos=queued.qos, retain=queued.retain, wishes=wishes
            )
        )
        try:
            await asyncio.sleep(0)  # its first step: it is written, or has failed
            if publishing.done() and publishing.exception() is not None:
                publishing.result()
            after = await self._commands.happen(command, Left(), known)
            remark = await publishing
        finally:
            publishing.cancel()
        if queued.qos:
            after = await self._commands.happen(command, Acknowledged(remark), after)
        if not queued.answer_expected:
            await self.ended(command, after)

    async def listen(self, link: Key, topic: str) -> None:
        """An external broker brings an answer only to who subscribes to it.

        Raises Refused("filter.forbidden") where it does not let us, Unavailable as a subscription does.
        """
        if link.integration == HOSTED or any(covers(filter, topic) for filter in self._filters_of(link)):
            return
        session = self._session_of(link)
        if session is None or self._listening.get((link, topic)) is session:
            return
        [refused] = await session.subscribe([TopicFilter(filter=topic, qos=1)])
        if refused is not None:
            raise Refused("filter.forbidden", f"the broker gives no subscription to {topic}: {refused}")
        self._listening[link, topic] = session

    def keep_listening(self, link: Key, topic: str) -> None:
        """The same, over a connection that is new."""
        if self._session_of(link) is not None:
            self._chore(self.listen(link, topic))

    def leave(self, link: Key, topic: str) -> None:
        """Nobody waits for an answer there any more."""
        session = self._listening.pop((link, topic), None)
        if session is not None and not session.ended.done():
            self._chore(session.unsubscribe([topic]))

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        async def done() -> None:
            try:
                await work
            except Failure as failure:  # the next look, or the session's end, sees to it
                _log.info("a topic of answers", reason=str(failure))

        task = asyncio.create_task(done())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def ended(self, command: CommandKey, known: Known | None) -> None:
        """Says it to the organization; None: there is nothing new."""
        if known is None:
            return
        held = known.held
        failed = held.state in ("failed", "expired")
        detail = f": {held.failure.detail}" if held.failure is not None else ""
        event = ActivityRecorded(
            kind=f"command.{held.state}",
            status="failed" if failed else "ok",
            summary=f"{held.queued.topic}{detail}",
            subject=f"integration:{held.queued.integration_id}",
            device_id=held.queued.device_id,
            reason=held.failure.code if held.failure is not None else None,
            duration_ms=round((datetime.now(UTC) - held.queued_at).total_seconds() * 1000, 1),
            details={"command_id": command.id, "remark": held.remark, "attempts": held.attempts},
        )
        self._activity.note(command.organization, event, SOURCE)


def _declined(refused: Refused) -> Declined:
    return Declined(refused.code, refused.detail)
