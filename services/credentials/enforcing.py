"""What the hosted broker cannot hold back is measured; who is over a limit for long is disconnected for a while.

nats-server 2.15.1 applies none of a user's limits (subscriptions, payload, data) to MQTT: tried one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import nats.errors

from contracts.activity import ActivityRecorded
from runtime.activity import ActivityLog
from runtime.observe import log
from services.credentials.connz import Connz
from services.credentials.directory import Directory
from services.credentials.limiting import Limiter, Owners
from services.credentials.meter import Excess

_log = log(part="limits")
SOURCE = "credentials"
TOLD_EVERY_S = 60  # of one credential and limit


class Enforcer:
    """`after_look` is called after each look at the connections."""

    def __init__(
        self,
        directory: Directory,
        connz: Connz,
        limiter: Limiter,
        activity: ActivityLog,
        hold_s: float,
    ) -> None:
        self._directory, self._connz = directory, connz
        self._limiter, self._activity, self._hold_s = limiter, activity, hold_s

    async def after_look(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._limiter.release(now)
        # 0.1 s for 20,000 busy connections: beside, since a connect is to be answered within 60 ms
        for excess in await asyncio.to_thread(self._limiter.measure, seconds, datetime.now(UTC)):
            if excess.reached.limit != "subscriptions" or await self._truly_subscribed(excess):
                await self._hold(excess, now)

    async def _hold(self, excess: Excess, now: float) -> None:
        reached = excess.reached
        self._limiter.hold(excess.credential, reached, now + self._hold_s)
        entry = self._directory.credentials.by_id[excess.credential]
        event = ActivityRecorded(
            kind="limit.exceeded",
            status="refused",
            summary=reached.words,
            subject=f"credential:{excess.credential}",
            device_id=entry.state.device_id,
            reason="limit.reached",
            details={**reached._asdict(), "held_s": self._hold_s},
        )
        # every replica sees the same, and it is told once
        minute = int(datetime.now(UTC).timestamp()) // TOLD_EVERY_S
        id = f"limit-{excess.credential}-{reached.limit}-{minute}"
        self._activity.note(excess.organization, event, SOURCE, id=id)
        sessions = list(self._limiter.census.by_credential.get(excess.credential, {}).values())
        for session in sessions:
            await self._connz.kick(*session.key)
        _log.info("held back", credential=excess.credential, connections=len(sessions), why=reached.words)

    async def _truly_subscribed(self, excess: Excess) -> bool:
        """The server counts a subscription of QoS 1 or 2, or with `#`, more than once: looked at one by one."""
        user = excess.credential if excess.reached.scope == "credential" else None
        try:
            listed = await self._connz.with_filters(user)
        except (nats.errors.Error, OSError) as error:
            _log.warning("subscriptions cannot be counted now", error=repr(error))
            return False
        owners = Owners(self._directory)
        total = sum(
            mqtt_filters(one.subscriptions_list)
            for connections in listed.servers.values()
            for one in connections
            if owners.get(one.authorized_user) == excess.organization
        )
        return total > excess.reached.allowed


def mqtt_filters(subjects: Sequence[str]) -> int:
    """How many MQTT filters these NATS subjects stand for: `a.>` comes with `a`."""
    own = {subject for subject in subjects if not subject.startswith("$MQTT.")}
    return sum(f"{subject}.>" not in own for subject in own)
