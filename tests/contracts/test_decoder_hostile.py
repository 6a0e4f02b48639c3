"""Hostile bytes for every decoder: each case is read or is a dead letter with a reason, soon, and nothing else."""

import math
import struct
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.decoders import REGISTRY, Decoded, Message
from contracts.decoders.limits import READINGS_MAX, SAMPLES_MAX
from contracts.failures import Unprocessable
from contracts.streams import PAYLOAD_BYTES_MAX
from tests.contracts import cbor_dump
from tests.contracts.sparkplug_dump import (
    bd_seq,
    dataset,
    f64,
    metric,
    number,
    payload,
    sized,
    template,
    text_property,
    varint,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# CPU time of one message of 256 KiB at the most, with room for a slow machine: the worst seen here is 0.07 s.
BOUND_S = 0.7
NAMES = sorted(REGISTRY)
TOPICS = [
    "devices/s1/telemetry",
    "devices/s1/status",
    "plant/x",
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/NDEATH/n",
    "spBv1.0//X",
    "$sys/version/1/devices/d/properties/up",
]


def outcome(name: str, topic: str, data: bytes) -> None:
    decoder = REGISTRY[name]
    try:
        decoded = decoder.decode(Message(topic, data, NOW, None, "plant"), decoder.Settings())
    except Unprocessable as failure:
        dead_letter = failure
    else:
        check(decoded)
        return
    assert dead_letter.detail


def check(decoded: Decoded) -> None:
    """All that is read can be stored."""
    for sample in decoded.samples:
        assert sample.device_id
        assert len({reading.metric for reading in sample.readings}) == len(sample.readings)
        for metric_name, value, unit in sample.readings:
            text = f"{metric_name}{value}{unit}"
            assert "\0" not in text
            text.encode()
            if isinstance(value, float):
                assert math.isfinite(value)
            elif isinstance(value, int):
                assert -(2**63) <= value < 2**63
    assert sum(len(sample.readings) for sample in decoded.samples) <= READINGS_MAX
    assert len(decoded.samples) <= SAMPLES_MAX


# CBOR: whole items of each kind, and then cut, changed, or lengthened.
items = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64 - 1),
        st.floats(),
        st.text(max_size=9),
        st.binary(max_size=9),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=5), st.integers(-9, 9), st.binary(max_size=2)), inner, max_size=4
        ),
    ),
    max_leaves=12,
).map(cbor_dump.dump)
tags = st.tuples(
    st.sampled_from([b"\xc0", b"\xc2", b"\xc4", b"\xd8\x18", b"\x9f", b"\xbf", b"\x5f"]), items
).map(lambda it: it[0] + it[1])
fields = st.tuples(
    st.integers(0, 25),
    st.one_of(
        st.integers(0, 2**64 - 1).map(lambda value: (0, varint(value))),
        st.binary(max_size=20).map(lambda data: (2, varint(len(data)) + data)),
        st.floats().map(lambda value: (1, struct.pack("<d", value))),
        st.integers(0, 2**32 - 1).map(lambda value: (5, struct.pack("<I", value))),
        st.tuples(st.sampled_from([3, 4, 6, 7]), st.binary(max_size=3)),
    ),
).map(lambda it: varint(it[0] << 3 | it[1][0]) + it[1][1])
wire = st.lists(fields, max_size=6).map(b"".join)
metrics = st.lists(st.one_of(wire, wire.map(lambda data: sized(2, data))), max_size=4).map(b"".join)
births = st.lists(
    st.builds(
        metric,
        st.sampled_from(["a", "a/b", "bdSeq", "", "\0"]),
        wire,
        alias=st.one_of(st.none(), st.integers(0, 3)),
        type=st.one_of(st.none(), st.integers(0, 40)),
        properties=st.one_of(st.none(), wire, st.just(text_property("engUnit", "x"))),
    ),
    max_size=4,
).map(lambda made: payload(*made))
whole = st.one_of(items, tags, metrics, births, st.binary(max_size=60))
cut = st.tuples(whole, st.integers(0, 80)).map(lambda it: it[0][: it[1]])
flipped = st.tuples(whole, st.integers(0, 80), st.integers(0, 255)).map(
    lambda it: it[0][: it[1]] + bytes([it[2]]) + it[0][it[1] + 1 :]
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(TOPICS), st.one_of(whole, cut, flipped))
def test_any_bytes_are_read_or_are_a_dead_letter(name: str, topic: str, data: bytes) -> None:
    outcome(name, topic, data)


FULL = PAYLOAD_BYTES_MAX
NAME = "x" * 250
JSON_CLASSES = {
    "empty": b"",
    "spaces": b" " * FULL,
    "nested arrays": b"[" * 10_000 + b"]" * 10_000,
    "nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "open arrays": b"[" * FULL,
    "duplicate keys": b'{"a":1,"a":2}',
    "lone surrogate": rb'{"a":"\ud800"}',
    "NaN": b'{"a":NaN}',
    "beyond a double": b'{"a":1e400}',
    "2^63": b'{"a":9223372036854775808}',
    "a number of all digits": b"9" * FULL,
    "a fraction of all digits": b"0." + b"3" * (FULL - 2),
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
    "many empty objects": b"[" + b"{}," * (FULL // 3 - 2) + b"{}]",
    "many nulls": b"[" + b"null," * (FULL // 5 - 2) + b"null]",
    "long key, deep": (b'{"' + b"k" * 8000 + b'":') * 30 + b"1" + b"}" * 30,
    "a text": b'"' + b"x" * (FULL - 2) + b'"',
    "escapes": b'"' + rb"\u0000" * (FULL // 6 - 1) + b'"',
    "not UTF-8": b"\xff" * FULL,
    "senml records": b"[" + b",".join(b'{"n":"a%d","v":1,"t":%d}' % (n, n) for n in range(9000)) + b"]",
    "vmark report": b'{"handle":"properties_report","paras":{' + b'"a":{},' * 30_000 + b'"b":1}}',
}
CBOR_CLASSES = {
    "nested arrays": b"\x81" * FULL,
    "nested indefinite": b"\x9f" * FULL,
    "nested maps": b"\xa1\x61a" * 80_000,
    "nested tags": b"\xc6" * FULL,
    "huge array": b"\x9b" + b"\xff" * 8,
    "huge map": b"\xbb" + b"\x7f" * 8,
    "huge text": b"\x7b" + b"\x7f" * 8,
    "many items": b"\x9a\x00\x03\xff\xf0" + b"\x00" * 0x3FFF0,
    "many chunks": b"\x5f" + b"\x40" * (FULL - 2) + b"\xff",
    "many empty maps": b"\x9f" + b"\xa0" * (FULL - 2) + b"\xff",
    "bignum": b"\xc2\x5a\x00\x03\xff\x00" + b"\xff" * 0x3FF00,
    "fraction": bytes.fromhex("c4821a7fffffff1b7fffffffffffffff"),
    "many fractions": b"\x9f" + bytes.fromhex("c4823903e71b7fffffffffffffff") * (FULL // 15) + b"\xff",
}
SPARKPLUG_CLASSES = {
    "many empty metrics": b"\x12\x00" * (FULL // 2),
    "many metrics": payload(*(metric(f"m{n}", f64(13, 1.0)) for n in range(4096))),
    "many times": payload(*(metric(f"m{n}", f64(13, 1.0), at=n) for n in range(4096))),
    "empty rows": payload(metric("d", sized(17, b"\x22\x00" * (FULL // 2 - 50)))),
    "null cells": payload(metric("d", dataset([NAME] * 16, [3] * 16, [[b""] * 16] * 250))),
    "a long column of nulls": payload(metric("d", dataset(["x" * 100_000], [3], [[b""]] * 4000))),
    "null members": payload(metric("t", template(*[metric("m", number(7, 1))] * 20_000))),
    "booleans": payload(metric("b", sized(16, struct.pack("<I", 2**31) + b"\xff" * (FULL - 40)), type=32)),
    "texts": payload(metric("s", sized(16, b"\0" * (FULL - 40)), type=33)),
    "doubles": payload(metric("d", sized(16, bytes(8 * (FULL // 8 - 10))), type=31)),
    "long name": payload(metric("n" * (FULL - 40), f64(13, 1.0))),
    "aliases": payload(bd_seq(1), *(metric(f"m{n}", number(10, 1), alias=n, type=3) for n in range(4095))),
    "properties": payload(metric("p", properties=sized(1, "k") * 80_000)),
    "varints": b"\x08" + b"\x80" * FULL,
    "huge length": b"\x12" + varint(2**63),
    "nested templates": b"",
}
nested = template(metric("x", f64(13, 1.0)))
while len(nested) < FULL - 100:
    nested = template(metric("t", nested, type=19))
SPARKPLUG_CLASSES["nested templates"] = payload(metric("m", nested))
CLASSES: dict[str, Any] = {
    **{f"json {title}": (data, "devices/s1/telemetry") for title, data in JSON_CLASSES.items()},
    **{f"cbor {title}": (data, "devices/s1/telemetry") for title, data in CBOR_CLASSES.items()},
    **{f"sparkplug {title}": (data, "spBv1.0/g/NBIRTH/n") for title, data in SPARKPLUG_CLASSES.items()},
}


@pytest.mark.parametrize("title", CLASSES)
def test_no_class_of_bad_input_takes_long(title: str) -> None:
    data, topic = CLASSES[title]
    assert len(data) <= FULL + 64
    for name in NAMES:
        began = time.process_time()
        outcome(name, topic if name == "sparkplug-b" else "devices/s1/telemetry", data)
        took_s = time.process_time() - began
        assert took_s < BOUND_S, f"{name}: {took_s:.2f} s"
