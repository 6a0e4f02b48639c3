"""QoS 0 of the hosted broker, which is in no stream of the server's: heard in the device account.

Every QoS 1 and 2 message passes here too and is left alone, at the least cost: the server's own source brings
it into MESSAGES.
"""

from __future__ import annotations

import os
from itertools import count

from nats.aio.client import Client

from contracts.failures import Unavailable
from contracts.messages import NATS_MQTT_PUBLISH
from contracts.subjects import DEVICE_PUBLISHES, HOSTED, hosted_message
from runtime import fast_parser
from runtime.log_writer import MESSAGE_ID, LogWriter
from services.ingest import metrics
from services.ingest.drops import Drops

# As the server writes it when the header is its own and first, which is nearly always.
NOT_QOS0 = tuple(
    f"NATS/1.0\r\n{NATS_MQTT_PUBLISH}:{space}{qos}".encode() for space in ("", " ") for qos in (1, 2)
)


class HostedQos0:
    """Bounded: what the log cannot take in time is dropped, counted, and said to its organization."""

    def __init__(self, writer: LogWriter, drops: Drops) -> None:
        self._writer = writer
        self._drops = drops
        self._ids = (f"q0-{os.urandom(6).hex()}-{number}" for number in count())

    async def start(self, devices: Client) -> None:
        await fast_parser.subscribe(devices, DEVICE_PUBLISHES, self._on_message, queue="ingest")

    def _on_message(self, subject: bytes, _: bytes, headers: bytes, payload: bytes) -> None:
        if not headers.startswith(NOT_QOS0):
            publish = fast_parser.headers(headers).get(NATS_MQTT_PUBLISH, "")
            if publish.startswith("0"):
                self._take(subject.decode(), publish, payload)

    def _take(self, subject: str, publish: str, payload: bytes) -> None:
        parts = subject.split(".", 3)
        if len(parts) < 4:
            return  # no channel: such a publish is not captured at any QoS
        organization, _, device, rest = parts
        lines = f"{NATS_MQTT_PUBLISH}: {publish}\r\n{MESSAGE_ID}: {next(self._ids)}\r\n"
        try:
            self._writer.submit(hosted_message(organization, device, rest), lines, payload, None)
        except Unavailable:
            self._drops.add(organization, HOSTED, kind="hosted.overload", reason="log.unavailable")
            return
        metrics.hosted.messages += 1
        metrics.hosted.bytes += len(payload)
