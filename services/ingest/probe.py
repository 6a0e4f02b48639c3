"""A connection test that really connects: step by step, each with what was seen and what to do next."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import DEFAULT_TOPICS, TopicFilter
from contracts.failures import Failure, Refused, Unavailable
from contracts.integrations import ConnectionTested, Step, TestConnection
from services.ingest.frames import Incoming
from services.ingest.network import Network
from services.ingest.session import Identity, Session

BOUND_S = 10.0
CONNACK_S = 4.0
SUBACK_S = 3.0

StepName = Literal["dns", "address", "tcp", "mqtt", "subscribe"]
ReadPassword = Callable[[TestConnection], Awaitable[str | None]]

_NEXT: dict[str, str] = {
    "dns": "Check the spelling of `host`, and that its name server answers to the public.",
    "address": "Give the broker's public address: private networks cannot be reached from here.",
    "tcp": "Check `port`, that the broker listens on it, and that its firewall lets us in.",
    "subscribe": "Allow this user to subscribe to the filter in the broker's ACL, or change the filter.",
}


class StepFailed(Exception):
    """The test ends here."""


class Probe:
    """One test. Its client id is its own, so that it never takes over a link's session."""

    def __init__(self, request: TestConnection, password: str | None, network: Network) -> None:
        self._settings: BrokerSettings = request.settings
        self._topics: tuple[TopicFilter, ...] = request.topics or DEFAULT_TOPICS
        self._identity = Identity(f"hmq-test-{os.urandom(5).hex()}", password, clean=True)
        self._network = network
        self._steps: list[Step] = []
        self._begun = time.monotonic()
        self._name: StepName = "dns"

    async def run(self) -> ConnectionTested:
        """Stops at the first step that fails; never takes longer than `BOUND_S`."""
        try:
            async with asyncio.timeout(BOUND_S):
                await self._all_steps()
        except TimeoutError:
            self._failed(f"no answer; the test was given up after {BOUND_S:g} s")
        except StepFailed:
            pass
        except Failure as failure:
            self._failed(failure.detail)
        return ConnectionTested(ok=all(step.ok for step in self._steps), steps=tuple(self._steps))

    async def _all_steps(self) -> None:
        settings = self._settings
        self._begin("dns")
        addresses = await self._network.resolve(settings.host, settings.port)
        self._passed(f"{settings.host} is {', '.join(addresses)}")

        self._begin("address")
        self._network.check(settings.host, addresses)
        self._passed("every address may be connected to")

        self._begin("tcp")
        connection = await self._network.connect(addresses, settings.port)
        self._passed(f"connected to {connection.getpeername()[0]} port {settings.port}")

        self._begin("mqtt")
        try:
            session = await Session(
                connection, settings, self._identity, _nobody_listens, timeout_s=CONNACK_S
            ).__aenter__()
        except Refused as refused:
            self._failed(f"CONNACK: {refused.detail}", next_action=_after_connack(refused.detail))
            raise StepFailed from refused
        except Unavailable as unavailable:
            self._failed(*_without_connack(unavailable))
            raise StepFailed from unavailable
        try:
            self._passed(f"CONNACK: accepted (MQTT {settings.mqtt_version})")
            await self._subscribe(session)
        finally:
            await session.__aexit__(None, None, None)

    async def _subscribe(self, session: Session) -> None:
        for topic in self._topics:
            self._begin("subscribe")
            async with asyncio.timeout(SUBACK_S):
                [why] = await session.subscribe((topic,))
            if why is not None:
                self._failed(f"SUBACK for {topic.filter}: {why}")
                raise StepFailed
            self._passed(f"SUBACK for {topic.filter}: granted")

    def _begin(self, name: StepName) -> None:
        self._name, self._begun = name, time.monotonic()

    def _passed(self, seen: str) -> None:
        self._add(seen, None)

    def _failed(self, seen: str, next_action: str | None = None) -> None:
        self._add(
            seen, next_action or _NEXT.get(self._name, "Check that an MQTT broker answers on this port.")
        )

    def _add(self, seen: str, next_action: str | None) -> None:
        duration_ms = round((time.monotonic() - self._begun) * 1000, 1)
        step = Step(
            name=self._name,
            ok=next_action is None,
            duration_ms=duration_ms,
            seen=seen,
            next_action=next_action,
        )
        self._steps.append(step)


def _nobody_listens(_: Session, __: list[Incoming]) -> None:
    """Retained copies may come; a test stores nothing and acknowledges nothing."""


def _after_connack(reason: str) -> str:
    words = reason.lower()
    if "protocol" in words:
        return "Choose the other `mqtt_version`."
    if "identifier" in words:
        return "Set a `client_id` that the broker allows."
    if "unavailable" in words or "busy" in words:
        return "The broker takes no clients at the moment: try again later."
    return "Check `username` and `password`, and that the broker lets this user connect."


def _without_connack(failure: Unavailable) -> tuple[str, str]:
    if failure.code == "broker.timeout":
        return (
            f"no CONNACK within {CONNACK_S:g} s",
            "Check that the port is the one for MQTT without TLS: one for TLS waits for another greeting.",
        )
    return (
        f"what answered is no MQTT, or hung up: {failure.detail}",
        "Check that this port speaks MQTT without TLS, and that `mqtt_version` is one that the broker knows.",
    )
