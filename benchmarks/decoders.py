"""µs per message of each decoder, on the payload of the flood and some others."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from contracts.decoders import REGISTRY, Decoded, Message

FLOOD = (
    b'{"deviceId":"d7","timestamp":"2026-03-01T10:00:00Z",'
    b'"metrics":{"temperature":27,"humidity":40.5,"seq":1}}'
)
PAYLOADS = {
    "flood, three metrics": FLOOD,
    "top-level keys, unix time": b'{"temperature":21.5,"humidity":40,"co2":700,"ts":1772359200}',
    "nested": b'{"data":{"env":{"temperature":21.5,"humidity":40},"volts":[3.1,3.2]},"ts":1772359200}',
    "sensor style": b'{"type":"temperature","value":21.5,"units":"\xc2\xb0C"}',
    "bare number": b"1013.2",
}
MESSAGES = 100_000


def main(arguments: list[str]) -> int:
    """Print µs per message by decoder and payload; best of three."""
    del arguments
    received = datetime.now(UTC)
    # Topics as the projector has them: a new string object each, of a thousand devices.
    topics = [f"org_0123456789abcdef/devices/d{number % 1000}/telemetry" for number in range(MESSAGES)]
    devices = [f"d{number % 1000}" for number in range(MESSAGES)]
    for name, decoder in REGISTRY.items():
        settings = decoder.Settings()
        for title, payload in PAYLOADS.items():
            decode = decoder.decode
            messages = [
                Message(topic, payload, received, device)
                for topic, device in zip(topics, devices, strict=True)
            ]
            best = min(_seconds(decode, messages, settings) for _ in range(3))
            print(f"{name:<10} {title:<28} {best / MESSAGES * 1e6:6.2f} µs", flush=True)
    return 0


def _seconds(decode: Callable[[Message, Any], Decoded], messages: list[Message], settings: Any) -> float:
    gc.collect()
    gc.freeze()  # the prepared messages are no part of what is measured
    start = time.process_time()
    for message in messages:
        decode(message, settings)
    return time.process_time() - start


if __name__ == "__main__":
    main([])
