"""The platform's own connection to the hosted broker, for what is published to devices."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from contracts.failures import Failure, Refused
from contracts.topics import check_topic
from runtime.observe import log
from services.ingest import backoff
from services.ingest.connecting import open_session
from services.ingest.hosted_listener import hosted_broker
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from services.ingest.session import Session

_log = log(part="publish")
KEEPALIVE_S = 30


class HostedConnection:
    """The platform's own MQTT client of the hosted broker; `run()` is its task and keeps it connected."""

    def __init__(self, url: str, username: str, password: str, authority: Path | None = None) -> None:
        self._settings = hosted_broker(url, authority, username=username, keepalive_s=KEEPALIVE_S)
        self._secrets = {"password": password}
        self._client_id = f"platform-ingest-{os.urandom(6).hex()}"
        self.session: Session | None = None

    async def run(self) -> None:
        attempt = 0
        while True:
            try:
                await self._connect()
                attempt = 0
            except Failure as failure:
                _log.warning("the hosted broker is not connected", error=str(failure))
                attempt += 1
            # Its own machine, its own credentials: never slower than a few seconds.
            await asyncio.sleep(backoff.delay(min(attempt, 3), refused=False, random=random.random))

    async def _connect(self) -> None:
        async with open_session(
            Network(ANYTHING), self._settings, self._secrets, self._client_id, lambda _, __: None, clean=True
        ) as session:
            self.session = session
            try:
                reason = await session.ended
            finally:
                self.session = None
        _log.warning("the hosted broker hung up", reason=reason)


def hosted_topic(organization: str, topic: str) -> str:
    """The topic on the hosted broker; `commands/d1/x` stands for the organization's own. Never another's."""
    if topic.startswith(("devices/", "commands/")):
        topic = f"{organization}/{topic}"
    check_topic(topic)
    levels = topic.split("/")
    if levels[0] != organization or levels[1:2] not in (["devices"], ["commands"]):
        raise Refused(
            "topic.forbidden", f"topics here begin with {organization}/devices/ or {organization}/commands/"
        )
    # `devices/<device>` alone is in no log (its subject has too few tokens): it would be nobody's message.
    least = 4 if levels[1] == "devices" else 3
    if len(levels) < least or not levels[2]:
        raise Refused(
            "topic.invalid", "after `devices` come a device and a channel, after `commands` a device"
        )
    return topic
