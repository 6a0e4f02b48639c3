"""Entries of the log become rows, or failures; nothing that they hold stops the loop."""

import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from contracts.decoders import Decoded, Example, Message
from contracts.decoders.choice import STANDARD, Choice
from runtime.pull import Entry
from services.telemetry import copying
from services.telemetry.decoding import Batch, project

ORG = "org_abcdefgh12345678"


class Crashing:
    name, version, Settings = "crashing", 7, type(STANDARD.settings)
    description, example = "", Example("", b"")

    def decode(self, message: Message, settings: Any) -> Decoded:
        raise ZeroDivisionError(message.topic)


def entry(payload: bytes, sequence: int = 1, rest: str = "telemetry") -> Entry:
    subject = f"message.1.{ORG}.hosted.d1.{rest}"
    return Entry(
        subject, b"NATS/1.0\r\nNmqtt-Pub: 2\r\n\r\n", payload, sequence, 1_772_359_200_123_456_789, 0
    )


def projected(*entries: Entry, choice: Choice = STANDARD) -> Batch:
    batch = Batch()
    project(entries, lambda *_: choice, batch)
    return batch


def test_a_payload_over_the_organizations_limit_is_a_failure_that_names_it() -> None:
    tight = STANDARD._replace(payload_bytes_max=10)
    batch = projected(entry(b'{"a": 1}'), entry(b'{"a": 12345}', 2), choice=tight)
    assert [row.failure for row in batch.messages] == [None, "payload.too_large"]
    assert "at most 10 bytes, this has 12" in batch.failed[0].detail


def test_a_hosted_message_is_told_by_its_subject_and_the_servers_header() -> None:
    (row,) = projected(entry(b'{"t": 1}')).messages
    assert (row.organization, row.source, row.device, row.qos) == (ORG, "hosted", "d1", 2)
    assert row.topic == f"{ORG}/devices/d1/telemetry"
    assert row.received == datetime(2026, 3, 1, 10, 0, 0, 123456, UTC)


def test_a_decoder_that_crashes_fails_its_message_only() -> None:
    batch = projected(entry(b"1"), entry(b"2", 2), choice=Choice(Crashing(), None))
    assert [(row.failure, row.payload) for row in batch.messages] == [("internal", b"1"), ("internal", b"2")]
    assert batch.failed[0].decoder == "crashing@7"


@given(
    payload=some.binary(max_size=50)
    | some.recursive(
        some.none() | some.booleans() | some.floats() | some.integers() | some.text(),
        lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    ).map(lambda value: json.dumps(value).encode()),
    rest=some.sampled_from(["telemetry", "status", "lwt", "own.x"]),
)
def test_each_message_is_a_row_and_at_most_one_failure(payload: bytes, rest: str) -> None:
    batch = projected(entry(payload, rest=rest))
    assert len(batch.messages) == 1
    assert (batch.messages[0].failure is not None) == (len(batch.failed) == 1)
    assert not (batch.failed and batch.samples)


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        (f"message.1.{ORG}.int_x", b""),
        (f"message.1.{ORG}.int_x", b"NATS/1.0\r\nmqtt-topic: a\r\nce-time: yesterday\r\n\r\n"),
        (f"message.1.{ORG}.hosted.d1.telemetry", b"NATS/1.0\r\nNmqtt-Pub: x\r\n\r\n"),
    ],
)
def test_an_envelope_that_is_not_ours_is_a_failure(subject: str, headers: bytes) -> None:
    batch = projected(Entry(subject, headers, b"1", 1, 0, 0))
    assert [row.failure for row in batch.messages] == ["event.unreadable"]


@given(some.datetimes(timezones=some.just(UTC)))
def test_a_time_on_the_wire_is_exact(moment: datetime) -> None:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    passed = moment - epoch
    assert (
        copying.micros(moment)
        == passed.days * 86_400_000_000 + passed.seconds * 1_000_000 + passed.microseconds
    )


@given(some.lists(some.none() | some.floats(allow_nan=False), min_size=1, max_size=9))
def test_an_array_of_doubles_reads_back(values: list[float | None]) -> None:
    wire = copying.doubles(values)
    size, dimensions, nulls, oid, count, _ = struct.unpack_from(">iiiiii", wire)
    assert (size + 4, dimensions, nulls, oid, count) == (len(wire), 1, int(None in values), 701, len(values))
    found: list[float | None] = []
    at = 24
    while at < len(wire):
        (length,) = struct.unpack_from(">i", wire, at)
        found.append(None if length < 0 else struct.unpack_from(">d", wire, at + 4)[0])
        at += 4 + max(length, 0)
    assert found == values
