"""Publishing out, with QoS and retain: over a link's own connection, or to the hosted broker."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import random
import time
from urllib.parse import urlsplit

from contracts.activity import ActivityRecorded
from contracts.broker_settings import broker_settings
from contracts.failures import Failure, Refused, Unavailable
from contracts.integrations import Publish, Published
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.subjects import HOSTED
from contracts.topics import check_topic
from runtime.activity import ActivityLog
from runtime.observe import log
from services.ingest import backoff, metrics
from services.ingest.connecting import open_session
from services.ingest.links import Key
from services.ingest.manager import Manager
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from services.ingest.session import Session

_log = log(part="publish")
KEEPALIVE_S = 30


class HostedConnection:
    """The platform's own MQTT client of the hosted broker; `run()` is its task and keeps it connected."""

    def __init__(self, url: str, username: str, password: str) -> None:
        address = urlsplit(url)
        self._settings = broker_settings(
            host=address.hostname or "127.0.0.1",
            port=address.port or 1883,
            username=username,
            keepalive_s=KEEPALIVE_S,
        )
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


class Publisher:
    """Answers PUBLISH; every outcome is in the activity."""

    def __init__(self, manager: Manager, hosted: HostedConnection, activity: ActivityLog) -> None:
        self._manager, self._hosted, self._activity = manager, hosted, activity

    async def publish(self, request: Publish) -> Published:
        """Raises Refused("topic.invalid"), ("topic.forbidden"), ("payload.too_large"), ("broker.refused"),
        Unavailable("link.down"), ("broker.timeout")."""
        begun = time.monotonic()
        failed: Failure | None = None
        try:
            payload = _payload(request.payload)
            topic, session = self._address(request)
            await session.publish(topic, payload, qos=request.qos, retain=request.retain)
        except Failure as failure:
            failed = failure
            raise
        finally:
            duration_ms = round((time.monotonic() - begun) * 1000, 1)
            self._note(request, failed, duration_ms)
        return Published(acknowledged=request.qos > 0, duration_ms=duration_ms)

    def _address(self, request: Publish) -> tuple[str, Session]:
        if request.integration == HOSTED:
            topic, session = hosted_topic(request.organization, request.topic), self._hosted.session
        else:
            check_topic(request.topic, hosted=False)
            link = self._manager.link(Key(request.organization, request.integration))
            topic, session = request.topic, link.session if link else None
        if session is None:
            raise Unavailable("link.down", "the integration is not connected to its broker at the moment")
        return topic, session

    def _note(self, request: Publish, failed: Failure | None, duration_ms: float) -> None:
        metrics.published.add(1, {"outcome": failed.code if failed else "ok"})
        event = ActivityRecorded(
            kind="publish.failed" if failed else "publish.ok",
            status="failed" if failed else "ok",
            summary=f"{request.topic}: {failed.detail}" if failed else request.topic,
            subject=f"integration:{request.integration}",
            reason=failed.code if failed else None,
            duration_ms=duration_ms,
            details={"qos": request.qos, "retain": request.retain},
        )
        self._activity.note(request.organization, event, request.actor)


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


def _payload(text: str) -> bytes:
    try:
        payload = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("request.invalid", "the payload is no base64", field="payload") from error
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refused(
            "payload.too_large", f"a payload has at most {PAYLOAD_BYTES_MAX} bytes", field="payload"
        )
    return payload
