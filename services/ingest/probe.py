"""A connection test that really connects: step by step, each with what was seen and what to do next."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.connection_test import BOUND_S, ConnectionTested
from contracts.failures import Failure
from services.ingest import diagnosis, tls, transport
from services.ingest.authentication import authenticate
from services.ingest.channel import Channel, TcpChannel
from services.ingest.diagnosis import Speaks
from services.ingest.findings import finding, of_failure
from services.ingest.network import Network
from services.ingest.packets import Login
from services.ingest.probe_mqtt import MqttProbe
from services.ingest.probe_steps import Failed, Steps, Tell
from services.ingest.sniff import sniff
from services.ingest.tls import Seen, Trust

LOOK_S = 1.5
_DISBELIEVED = ("tls.untrusted", "tls.expired", "tls.name")
_UNEXPLAINED = ("tls.closed", "tls.plaintext", "broker.timeout", "websocket.invalid", "websocket.refused")


class Probe:
    """One test; `run` stops at the first step that nothing can follow, and never takes longer than `BOUND_S`."""

    def __init__(
        self,
        settings: BrokerSettings,
        topics: tuple[TopicFilter, ...],
        secrets: Mapping[str, str],
        network: Network,
        *,
        tell: Tell,
        probe_topic: str | None = None,
    ) -> None:
        self._settings, self._topics, self._secrets = settings, topics, secrets
        self._network, self._probe_topic = network, probe_topic
        self._steps = Steps(tell)
        self._addresses: list[str] = []

    async def run(self) -> ConnectionTested:
        try:
            async with asyncio.timeout(BOUND_S):
                await self._all_steps()
        except TimeoutError:
            seen = f"the test was given up after {BOUND_S:g} s"
            await self._steps.give_up(finding("broker.timeout", seen))
        except Failed:
            pass
        return self._steps.tested()

    async def _all_steps(self) -> None:
        await self._resolve()
        channel = await self._open()
        try:
            await self._talk(channel)
        finally:
            channel.close()

    async def _resolve(self) -> None:
        host, port = self._settings.host, self._settings.port
        async with self._steps.step("dns") as seen:
            try:
                self._addresses = await self._network.resolve(host, port)
            except Failure as failure:
                action = "Check the spelling of `host`, and that its name server answers to the public."
                raise Failed(finding("broker.unreachable", failure.detail, action)) from failure
            seen.append(f"{host} is {', '.join(self._addresses)}")
        async with self._steps.step("address") as seen:
            try:
                self._network.check(host, self._addresses)
            except Failure as failure:
                raise Failed(of_failure(failure, "address.forbidden")) from failure
            seen.append("every address may be connected to")

    async def _open(self) -> Channel:
        settings = self._settings
        async with self._steps.step("tcp") as seen:
            try:
                opened = await self._network.connect(self._addresses, settings.port)
            except Failure as failure:
                raise Failed(of_failure(failure, "broker.unreachable")) from failure
            seen.append(f"connected to {opened.getpeername()[0]} port {settings.port}")
        channel: Channel = TcpChannel(opened)
        if (trust := transport.trust(settings, self._secrets)) is not None:
            channel = await self._over_tls(channel, trust)
        if settings.websocket:
            channel = await self._over_websocket(channel)
        return channel

    async def _over_tls(self, lower: Channel, trust: Trust) -> Channel:
        async with self._steps.step("tls") as seen:
            try:
                channel = await transport.over_tls(lower, trust)
            except Failure as failure:
                if failure.code in _DISBELIEVED:
                    raise Failed(
                        diagnosis.not_believed(
                            failure, await self._look(trust), own_authority=trust.ca is not None
                        )
                    ) from failure
                raise Failed(diagnosis.no_tls(failure, await self._sniff(failure))) from failure
            seen.append(diagnosis.tls_passed(channel.seen(), verify=trust.verify, now=datetime.now(UTC)))
        return channel

    async def _over_websocket(self, lower: Channel) -> Channel:
        async with self._steps.step("websocket") as seen:
            try:
                channel = await transport.over_websocket(lower, self._settings)
            except Failure as failure:
                speaks = Speaks() if self._settings.tls is not None else await self._sniff(failure)
                raise Failed(diagnosis.no_websocket(self._settings, failure, speaks)) from failure
            chosen = channel.upgraded.subprotocol
            words = f"subprotocol {chosen}" if chosen else "no subprotocol was chosen"
            seen.append(f"HTTP {channel.upgraded.status} at {self._settings.path}; {words}")
        return channel

    async def _talk(self, channel: Channel) -> None:
        mqtt = MqttProbe(channel, self._settings, self._steps)
        async with self._steps.step("mqtt") as seen:
            try:
                own = login(self._settings, self._secrets)
            except Failure as failure:
                raise Failed(of_failure(failure, "broker.credentials")) from failure
            seen.append(await mqtt.connect(own, self._sniff))
        await mqtt.subscribe(self._topics)
        if self._probe_topic is not None:
            async with self._steps.step("probe") as seen:
                seen.append(await mqtt.deliver(self._probe_topic, self._topics))
        mqtt.leave()

    async def _sniff(self, failure: Failure | None = None) -> Speaks:
        """What the port speaks, where that could explain why nothing came."""
        if failure is not None and failure.code not in _UNEXPLAINED:
            return Speaks()
        if self._settings.websocket and failure is None:
            return Speaks()  # it is a WebSocket, behind which nothing answers
        below = transport.trust(self._settings, self._secrets) if failure is None else None
        return await sniff(self._network, self._settings, self._addresses, below)

    async def _look(self, trust: Trust) -> Seen | None:
        """The certificate of a broker that was not believed, over another connection."""
        try:
            async with asyncio.timeout(LOOK_S):
                channel = await transport.over_tcp(self._network, self._addresses, self._settings.port)
                try:
                    return await tls.look(channel, trust)
                finally:
                    channel.close()
        except (Failure, OSError, TimeoutError):
            return None


def login(settings: BrokerSettings, secrets: Mapping[str, str]) -> Login:
    """The test has a client id of its own, so that it never takes over a link's session.

    Where the provider binds the client id it comes with that, and keeps the session: the link is interrupted
    for a moment, and loses nothing. Raises Refused("request.invalid") where a secret cannot be used.
    """
    bound = settings.auth in ("aws_iot", "azure_sas") and settings.fixed_client_id is not None
    client_id = (settings.fixed_client_id if bound else None) or f"hmq-test-{os.urandom(5).hex()}"
    return authenticate(settings, secrets, client_id, clean=not bound, now=time.time()).login
