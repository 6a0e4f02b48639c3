"""Packets out of bytes, however the bytes are cut."""

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from services.ingest import frames
from services.ingest.commands_correlation import correlation
from services.ingest.frames import PACKET_BYTES_MAX, Incoming, Malformed, split

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def remaining(length: int) -> bytes:
    found = b""
    while True:
        length, digit = divmod(length, 128)
        found += bytes([digit | (0x80 if length else 0)])
        if not length:
            return found


def publish(
    topic: str, payload: bytes, qos: int = 0, mid: int = 0, flags: int = 0, properties: bytes | None = None
) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"")
    body += (properties or b"") + payload
    return bytes([0x30 | qos << 1 | flags]) + remaining(len(body)) + body


def trace_property(value: str = TRACE) -> bytes:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("other", "x"), ("traceparent", value)]
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return packed


STREAM = (
    b"\x20\x02\x00\x00"
    + publish("a/b", b"zero")
    + publish("ä", b"", 1, 77, flags=8)
    + b"\x62\x02\x00\x05"
    + publish("a" * 200, b"x" * 300, 2, 65_535, flags=1)
    + b"\xd0\x00"
)
MESSAGES = [
    Incoming("a/b", b"zero", 0, False, False, 0, None),
    Incoming("ä", b"", 1, False, True, 77, None),
    Incoming("a" * 200, b"x" * 300, 2, True, False, 65_535, None),
]
OTHERS = [(0x20, b"\x00\x00"), (0x62, b"\x00\x05"), (0xD0, b"")]


@pytest.mark.parametrize("at", range(1, len(STREAM)))
def test_a_cut_at_any_byte_changes_nothing(at: int) -> None:
    first, others, rest, skip = split(STREAM[:at], 0, five=False)
    second, more, rest, skip = split(rest + STREAM[at:], skip, five=False)
    assert (first + second, others + more, rest, skip) == (MESSAGES, OTHERS, b"", 0)


def test_byte_by_byte() -> None:
    messages, others, rest, skip = [], [], b"", 0
    for byte in STREAM:
        some, more, rest, skip = split(rest + bytes([byte]), skip, five=False)
        messages += some
        others += more
    assert (messages, others, rest) == (MESSAGES, OTHERS, b"")


def test_version_5_carries_a_trace_in_a_user_property() -> None:
    data = publish("t", b"p", 1, 1, properties=trace_property()) + publish("t", b"q", properties=b"\x00")
    messages, *_ = split(data, 0, five=True)
    assert [(m.payload, m.traceparent) for m in messages] == [(b"p", TRACE), (b"q", None)]


@pytest.mark.parametrize("value", [TRACE[:-1], TRACE + "0", "x" * 55, TRACE[:-2] + "\r\n"])
def test_a_trace_of_another_form_is_none(value: str) -> None:
    messages, *_ = split(publish("t", b"p", properties=trace_property(value)), 0, five=True)
    assert [m.traceparent for m in messages] == [None]


@pytest.mark.parametrize("chunk", [1_000, 65_536])
def test_a_packet_that_is_too_large_is_not_held(chunk: int) -> None:
    data = publish("big", b"x" * (2 * PACKET_BYTES_MAX), 1, 9) + publish("next", b"y", 1, 10)
    found: list[Incoming] = []
    rest, skip, held = b"", 0, 0
    for begin in range(0, len(data), chunk):
        some, _, rest, skip = split(rest + data[begin : begin + chunk], skip, five=False)
        found += some
        held = max(held, len(rest))
    assert [(m.topic, m.payload, m.mid) for m in found] == [("big", None, 9), ("next", b"y", 10)]
    assert held < 70_000


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
        b"\x30\x02\x00\x00",  # no topic
        b"\x30\x03\x00\x05a",  # a topic longer than the packet
        b"\x32\x04\x00\x01ab",  # half a packet id
        b"\x30\x04\x00\x02\xff\xfe",  # no UTF-8
        b"\x30\x00",
        b"\x40" + remaining(PACKET_BYTES_MAX + 1),
    ],
)
def test_what_is_no_mqtt_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        split(data, 0, five=False)


def test_acknowledgements() -> None:
    assert frames.acknowledgement(258, 1) == b"\x40\x02\x01\x02"
    assert frames.acknowledgement(258, 2) == b"\x50\x02\x01\x02"


def test_correlation_data_is_read_where_it_is_a_text_of_ours() -> None:
    def of(**values: Any) -> str | None:
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in values.items():
            setattr(properties, name, value)
        return correlation(properties.pack())

    assert of(CorrelationData=b"cmd_1", UserProperty=[("a", "b\x09")]) == "cmd_1"
    assert of(UserProperty=[("\x09\x00\x05cmd_1", "x")]) is None  # it only looks like it
    assert of(CorrelationData=b"two\r\nlines") is None
    assert of(CorrelationData=b"\xff") is None
    assert of(CorrelationData=b"x" * 129) is None
    assert correlation(b"\x05\x09\x00\xff") is None
    assert correlation(b"") is None
