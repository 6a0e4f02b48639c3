"""The connection test from CONNECT on: CONNACK, a SUBACK per filter, a message there and back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.topics import matches
from services.ingest import diagnosis, packets, reasons
from services.ingest.channel import Channel
from services.ingest.conversation import Conversation, HungUp
from services.ingest.diagnosis import Speaks
from services.ingest.findings import Finding, finding, of_failure
from services.ingest.frames import Incoming, Malformed
from services.ingest.packets import Login
from services.ingest.probe_steps import Failed, Steps

CONNACK_S = 4.0
SUBACK_S = 3.0
DELIVERY_S = 3.0
ONE_BY_ONE_MAX = 10  # filters that are asked for one after the other: who hangs up at one names it
WINDOW = 8  # SUBSCRIBEs under way beyond that: a hundred filters fit the test's time


class MqttProbe:
    """Over an open channel; whoever holds it closes that."""

    def __init__(self, channel: Channel, settings: BrokerSettings, steps: Steps) -> None:
        self._settings, self._steps = settings, steps
        self._five = settings.mqtt_version == "5"
        self._talk = Conversation(channel, five=self._five)

    async def connect(self, login: Login, sniff: Callable[[], Awaitable[Speaks]]) -> str:
        """What a CONNACK said; raises Failed. `sniff` is asked where the port says nothing."""
        self._talk.say(packets.connect(login, self._settings.keepalive_s, five=self._five))
        try:
            async with asyncio.timeout(CONNACK_S):
                kind, body = await self._talk.hear()
            if kind != packets.CONNACK:
                raise Malformed
            reply = packets.connack(body, five=self._five)
        except TimeoutError:
            raise Failed(await self._without_connack(sniff, silent=True)) from None
        except Malformed:
            raise Failed(await self._no_mqtt(sniff)) from None
        except HungUp as end:
            if end.failure is not None:
                raise Failed(of_failure(end.failure, "broker.closed")) from None
            if end.code is not None:
                found = diagnosis.refused(self._settings, "DISCONNECT", end.code, end.said, login.client_id)
                raise Failed(found) from None
            raise Failed(await self._without_connack(sniff, silent=False)) from None
        if reply.code != 0:
            said = diagnosis.refused(self._settings, "CONNACK", reply.code, reply.said, login.client_id)
            raise Failed(said)
        unencrypted = self._settings.tls is None and login.password is not None
        return diagnosis.accepted(self._settings, reply, login.client_id, unencrypted=unencrypted)

    async def _without_connack(self, sniff: Callable[[], Awaitable[Speaks]], *, silent: bool) -> Finding:
        if self._talk.first:  # a packet that never ended
            return await self._no_mqtt(sniff)
        return diagnosis.no_connack(self._settings, await sniff(), silent=silent, waited_s=CONNACK_S)

    async def _no_mqtt(self, sniff: Callable[[], Awaitable[Speaks]]) -> Finding:
        web = (diagnosis.what_spoke(self._talk.first) or "").startswith("a web server")
        return diagnosis.no_mqtt(self._settings, self._talk.first, await sniff() if web else Speaks())

    async def subscribe(self, topics: tuple[TopicFilter, ...]) -> None:
        """One step for each; a refused one does not end the test. Raises Failed."""
        window = 1 if len(topics) <= ONE_BY_ONE_MAX else WINDOW
        wanted = iter(enumerate(topics, 1))
        waiting: dict[int, tuple[TopicFilter, float]] = {}
        while True:
            while len(waiting) < window and (following := next(wanted, None)) is not None:
                mid, topic = following
                waiting[mid] = topic, time.monotonic()
                self._talk.say(packets.subscribe(mid, [(topic.filter, topic.qos)], five=self._five))
            if not waiting:
                return
            try:
                async with asyncio.timeout(SUBACK_S):
                    mid, code, said = await self._suback()
            except (TimeoutError, Malformed, HungUp) as error:
                topic, begun = next(iter(waiting.values()))
                found = _no_answer(error, f"SUBSCRIBE to {topic.filter}", "subscription.refused", SUBACK_S)
                await self._steps.add("subscribe", begun, found, topic)
                raise Failed(found) from None
            if mid in waiting:
                topic, begun = waiting.pop(mid)
                await self._steps.add("subscribe", begun, _granted(topic, code, said), topic)

    async def deliver(self, topic: str, topics: tuple[TopicFilter, ...]) -> str:
        """Publishes to `topic`, and awaits the message; through one of `topics` where one matches."""
        payload = b'{"hybridmq":"connection test","id":"%s"}' % os.urandom(8).hex().encode()
        came: list[Incoming] = []
        self._talk.on_messages = lambda messages: came.extend(
            message for message in messages if message.topic == topic and message.payload == payload
        )
        through = next((each.filter for each in topics if matches(each.filter, topic)), None)
        begun = time.monotonic()
        what = f"PUBLISH to {topic}"
        try:
            async with asyncio.timeout(DELIVERY_S):
                if through is None:
                    what = f"SUBSCRIBE to {topic}"
                    self._talk.say(packets.subscribe(0xFFFE, [(topic, 1)], five=self._five))
                    _, code, said = await self._suback()
                    if packets.failed(code):
                        raise Failed(finding("subscription.refused", f"SUBACK for {topic}: {said}"))
                    what = f"PUBLISH to {topic}"
                self._talk.say(packets.publish(0xFFFF, topic, payload, 1, retain=False, five=self._five))
                answer = packets.ack(await self._next(packets.PUBACK), five=self._five)
        except (TimeoutError, Malformed, HungUp) as error:
            raise Failed(_no_answer(error, what, "publish.refused", DELIVERY_S)) from None
        if packets.failed(answer.code):
            raise Failed(finding("publish.refused", f"PUBACK for {topic}: {answer.said}"))
        try:
            async with asyncio.timeout(DELIVERY_S):
                await self._talk.hear_messages(lambda: bool(came))
        except TimeoutError:
            seen = f"PUBACK for {topic}, and the message did not come within {DELIVERY_S:g} s"
            if through is not None:
                seen += f", though {through} was granted"
            raise Failed(finding("subscription.silent", seen)) from None
        except (Malformed, HungUp) as error:
            raise Failed(_no_answer(error, what, "publish.refused", DELIVERY_S)) from None
        took_ms = (time.monotonic() - begun) * 1000
        return f"the message to {topic} came back after {took_ms:.0f} ms, at QoS {came[0].qos}"

    def leave(self) -> None:
        self._talk.say(packets.GOODBYE)

    async def _suback(self) -> tuple[int, int, str]:
        """Packet id, code, and what was said with it."""
        mid, codes, text = packets.suback(await self._next(packets.SUBACK), five=self._five)
        if len(codes) != 1:
            raise Malformed  # each SUBSCRIBE has one filter
        return mid, codes[0], reasons.words(codes[0], text)

    async def _next(self, wanted: int) -> bytes:
        while True:
            kind, body = await self._talk.hear()
            if kind == wanted:
                return body


def _granted(topic: TopicFilter, code: int, said: str) -> str | Finding:
    if packets.failed(code):
        return finding("subscription.refused", f"SUBACK for {topic.filter}: {said}")
    words = f"SUBACK for {topic.filter}: granted with QoS {code}"
    return words if code >= topic.qos else f"{words}, not with the {topic.qos} asked for"


def _no_answer(error: Exception, what: str, code: str, waited_s: float) -> Finding:
    if isinstance(error, TimeoutError):
        action = (
            "Look into the broker's log for this moment: it took the connection, and then did not answer."
        )
        return finding("broker.timeout", f"no answer to {what} within {waited_s:g} s", action)
    if isinstance(error, HungUp):
        if error.failure is not None:
            return of_failure(error.failure, "broker.closed")
        if error.code is not None:
            return finding(code, f"it hung up at {what}: {error.said}")
        return finding(code, f"it hung up at {what}, as some brokers do where it is forbidden")
    return finding("broker.not_mqtt", f"the answer to {what} breaks MQTT's rules", "Update the broker.")
