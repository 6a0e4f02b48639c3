"""µs per message of each decoder, on the payload of the flood and what its devices send."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from contracts.decoders import Message, State, get
from contracts.decoders.sparkplug_births import NODE, Birth

FLOOD = (
    b'{"deviceId":"d7","timestamp":"2026-03-01T10:00:00Z",'
    b'"metrics":{"temperature":27,"humidity":40.5,"seq":1}}'
)
# The same in CBOR, and in the two forms of SenML.
FLOOD_CBOR = bytes.fromhex(
    "a36864657669636549646264376974696d657374616d7074323032362d30332d30315431303a30303a30305a676d657472696373"
    "a36b74656d7065726174757265181b6868756d6964697479f951106373657101"
)
SENML = (
    b'[{"bn":"d7:","bt":1772359200,"n":"temperature","u":"Cel","v":27},{"n":"humidity","u":"%RH","v":40.5},'
    b'{"n":"seq","v":1}]'
)
SENML_CBOR = bytes.fromhex(
    "83a5216364373a221a69a40e20006b74656d7065726174757265016343656c02181ba3006868756d69646974790163255248"
    "02fb4044400000000000a200637365710201"
)
VMARK = (
    b'{"device":"2400000000000001","handle":"properties_report","product":"VTS13W01",'
    b'"time":"2026-03-02_00:50:58.000","paras":{"temperature":20.9,"RSSI":-38,"SNR":14,"BatteryIdle":3590,'
    b'"BatteryTx":3010,"Pedestal":"LOST","SmapleTrigger":"TIMER","sampletime":"1772412634","Monitor_ID":"0"}}'
)
NESTED = b'{"meta":{"sn":"S9","at":1745647522},"body":{"values":{"t":1,"h":2,"p":3}}}'
CUSTOM = {"device_id_path": "meta.sn", "telemetry_path": "body.values", "timestamp_path": "meta.at"}
MESSAGES = 50_000


def _number(field: int, value: int) -> bytes:
    out = bytes([field << 3])
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _sparkplug(metrics: int) -> bytes:
    """Node data as they are on most wires: alias, data type, value."""
    body = _number(1, 1_772_359_200_000)
    for alias in range(metrics):
        metric = _number(2, alias) + _number(4, 3) + bytes([10 << 3]) + b"\x05"
        body += bytes([2 << 3 | 2, len(metric)]) + metric
    return body + _number(3, 1)


_BIRTH = Birth({n: f"metric {n}" for n in range(50)}, {f"metric {n}": (3, None) for n in range(50)})
_BORN = State({NODE: _BIRTH}, 0)


class Case(NamedTuple):
    decoder: str
    title: str
    payload: bytes
    topic: str = "{org}/devices/{device}/telemetry"
    settings: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    state: State | None = None
    hosted: bool = True


_VMARK_TOPIC = "$sys/version/1.0/devices/{device}/product/VTS13W01/mac/AABB/dev_protocol/1/properties/up"
_SPARKPLUG_TOPIC = "spBv1.0/plant/NDATA/{device}"
CASES = (
    Case("standard", "flood, three metrics", FLOOD),
    Case("standard", "top-level keys, unix time", b'{"temperature":21.5,"humidity":40,"co2":700,"ts":1772359200}'),
    Case("standard", "nested", b'{"data":{"env":{"t":21.5,"h":40},"volts":[3.1,3.2]},"ts":1772359200}'),
    Case("standard", "sensor style", b'{"type":"temperature","value":21.5,"units":"\xc2\xb0C"}'),
    Case("standard", "bare number", b"1013.2"),
    Case("vmark", "tag, nine parameters, UTC", VMARK, _VMARK_TOPIC, hosted=False),
    Case("vmark", "the same, Europe/Berlin", VMARK, _VMARK_TOPIC, {"time_zone": "Europe/Berlin"}, hosted=False),
    Case("custom", "paths, three metrics", NESTED, "plant/{device}/up", CUSTOM, hosted=False),
    Case("senml", "JSON, three records", SENML),
    Case("senml", "CBOR, three records", SENML_CBOR),
    Case("cbor", "flood, three metrics", FLOOD_CBOR),
    Case("sparkplug-b", "data, 3 metrics by alias", _sparkplug(3), _SPARKPLUG_TOPIC, state=_BORN, hosted=False),
    Case("sparkplug-b", "data, 50 metrics by alias", _sparkplug(50), _SPARKPLUG_TOPIC, state=_BORN, hosted=False),
    Case("text", "a word", b"VALVE OPEN"),
    Case("raw", "flood", FLOOD),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Print µs per message by decoder and payload; best of three. Arguments: names of decoders (all)."""
    for case in CASES:
        if arguments and case.decoder not in arguments:
            continue
        messages = _messages(case)
        decoder = get(case.decoder)
        settings = decoder.Settings.model_validate(case.settings)
        read = decoder.decode(messages[0], settings)
        best = min(_seconds(case.decoder, messages, settings) for _ in range(3)) / MESSAGES * 1e6
        count = sum(len(sample.readings) for sample in read.samples)
        print(f"{case.decoder:<12} {case.title:<28} {best:7.2f} µs  {count:3} readings", flush=True)
    return 0


def _messages(case: Case) -> list[Message]:
    """Topics as the projector has them: a new string object each, of a thousand devices."""
    received = datetime.now(UTC)
    return [
        Message(
            case.topic.format(org="org_0123456789abcdef", device=f"d{number % 1000}"),
            case.payload,
            received,
            f"d{number % 1000}" if case.hosted else None,
            None,
            case.state,
        )
        for number in range(MESSAGES)
    ]


def _seconds(name: str, messages: list[Message], settings: Any) -> float:
    decode: Any = get(name).decode
    gc.collect()
    gc.freeze()  # the prepared messages are no part of what is measured
    start = time.process_time()
    for message in messages:
        decode(message, settings)
    return time.process_time() - start


if __name__ == "__main__":
    main([])
