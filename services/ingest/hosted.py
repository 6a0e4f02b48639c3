"""QoS 0 of the hosted broker, which is in no stream of the server's: heard in the device account.

Every QoS 1 and 2 message passes here too and is left alone, at the least cost: the server's own source brings
it into MESSAGES.
"""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import count

from nats.aio.client import Client

from contracts.failures import Unavailable
from contracts.messages import NATS_MQTT_PUBLISH
from contracts.subjects import DEVICE_PUBLISHES, HOSTED, hosted_message
from runtime import fast_parser
from runtime.log_writer import MESSAGE_ID, LogWriter
from services.ingest import metrics
from services.ingest.drops import Drops


@lru_cache(maxsize=256)  # the server writes a handful of them
def qos0_line(headers: bytes) -> str | None:
    """The header line that says QoS 0; None for every other message."""
    publish = fast_parser.headers(headers).get(NATS_MQTT_PUBLISH, "")
    return f"{NATS_MQTT_PUBLISH}: {publish}\r\n" if publish.startswith("0") else None


class HostedQos0:
    """Bounded: what the log cannot take in time is dropped, counted, and said to its organization."""

    def __init__(self, writer: LogWriter, drops: Drops) -> None:
        self._writer = writer
        self._drops = drops
        self._ids = (f"q0-{os.urandom(6).hex()}-{number}" for number in count())

    async def start(self, devices: Client) -> None:
        await fast_parser.subscribe(devices, DEVICE_PUBLISHES, self._on_message, queue="ingest")

    def _on_message(self, subject: bytes, _: bytes, headers: bytes, payload: bytes) -> None:
        line = qos0_line(headers)
        if line is not None:
            self._take(subject.decode(), line, payload)

    def _take(self, subject: str, line: str, payload: bytes) -> None:
        parts = subject.split(".", 3)
        if len(parts) < 4:
            return  # no channel: such a publish is not captured at any QoS
        organization, _, device, rest = parts
        lines = f"{line}{MESSAGE_ID}: {next(self._ids)}\r\n"
        try:
            self._writer.submit(hosted_message(organization, device, rest), lines, payload, None)
        except Unavailable:
            self._drops.add(organization, HOSTED, kind="hosted.overload", reason="log.unavailable")
            return
        metrics.hosted.messages += 1
        metrics.hosted.bytes += len(payload)
