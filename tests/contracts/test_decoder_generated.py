"""Generated JSON, good and bad: each case is read or is a dead letter with a reason, and nothing else."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.decoders import REGISTRY, Decoded, Message
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPICS = [
    "devices/s1/telemetry",
    "devices/s1/status",
    "devices/s1/lwt",
    "plant/x",
    "devices/a_reply",
    "/",
    "a/",
]
WORDS = [
    "data",
    "metrics",
    "id",
    "device",
    "ts",
    "time",
    "type",
    "value",
    "units",
    "result",
    "status",
    "a",
    "a.b",
    "",
]

# Classes of RFC 8259: literals, numbers of each notation and size, strings of each escape, space, structure.
numbers = st.one_of(
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["-0", "1e400", "-1e400", "1E-400", "01", "+1", ".5", "1.", "0x1", "NaN", "Infinity", "1_0"]
    ),
)
strings = st.one_of(
    st.sampled_from(WORDS).map(json.dumps),
    st.text(max_size=20).map(json.dumps),
    st.text(max_size=20).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        [r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', r'"\u12"', r'"\x"', '"\t"', '"', r'"\ud83c\udf88"']
    ),
)
scalars = st.one_of(numbers, strings, st.sampled_from(["true", "false", "null", "True", "nul", ""]))
spaces = st.sampled_from(["", " ", "\n\t", "\r", "\v", "\ufeff"])


def structures(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    separator = st.sampled_from([",", ",", ",", ",,", ";", " , "])
    pairs = st.tuples(strings, spaces, inner).map(lambda pair: f"{pair[0]}{pair[1]}:{pair[2]}")
    return st.one_of(
        st.tuples(separator, st.lists(inner, max_size=4)).map(lambda it: f"[{it[0].join(it[1])}]"),
        st.tuples(separator, st.lists(pairs, max_size=4)).map(lambda it: f"{{{it[0].join(it[1])}}}"),
    )


texts = st.recursive(scalars, structures, max_leaves=12)
deep = st.tuples(st.sampled_from(["[", '{"a":', '[{"a":']), st.integers(1, 10_000)).map(
    lambda it: it[0] * it[1]
)
payloads = st.one_of(
    texts.map(lambda text: text.encode(errors="surrogatepass")), st.binary(max_size=60), deep.map(str.encode)
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=9),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=9)), inner, max_size=5),
    ),
    max_leaves=15,
)


def outcome(topic: str, payload: bytes, hosted: str | None, numeric_strings: bool) -> Decoded | Unprocessable:
    decoder = REGISTRY["standard"]
    try:
        return decoder.decode(
            Message(topic, payload, NOW, hosted, "plant"), decoder.Settings(numeric_strings=numeric_strings)
        )
    except Unprocessable as dead_letter:
        return dead_letter


def check(result: Decoded | Unprocessable) -> None:
    """All that is read can be stored."""
    if isinstance(result, Unprocessable):
        assert result.detail
        return
    for sample in result.samples:
        assert sample.device_id
        assert sample.time.tzinfo is UTC
        assert len({reading.metric for reading in sample.readings}) == len(sample.readings)
        for metric, value, unit in sample.readings:
            for text in filter(None, (metric, unit, value if isinstance(value, str) else "x")):
                assert "\0" not in text
                text.encode()
            assert isinstance(value, (str, bool)) or math.isfinite(value)
            assert isinstance(value, (str, bool, float)) or -(2**63) <= value < 2**63


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(TOPICS), payloads, st.sampled_from([None, "s1"]), st.booleans())
@example("devices/s1/telemetry", b"[" * 10_000 + b"]" * 10_000, None, False)
def test_any_payload_is_read_or_is_a_dead_letter(
    topic: str, payload: bytes, hosted: str | None, numeric_strings: bool
) -> None:
    check(outcome(topic, payload, hosted, numeric_strings))


@settings(max_examples=500, deadline=None)
@given(values)
def test_valid_json_is_never_called_invalid(value: Any) -> None:
    result = outcome("devices/s1/telemetry", json.dumps(value).encode(), None, False)
    check(result)
    assert not isinstance(result, Unprocessable) or result.code != "payload.not_json"


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-c]{1,3}", fullmatch=True), st.floats(-1e9, 1e9), min_size=1))
def test_every_number_of_an_object_comes_out_as_it_went_in(metrics: dict[str, float]) -> None:
    result = outcome("devices/s1/telemetry", json.dumps(metrics).encode(), None, False)
    assert isinstance(result, Decoded)
    assert {reading.metric: reading.value for reading in result.samples[0].readings} == metrics
