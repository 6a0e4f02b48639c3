"""`cbor`: what `standard` reads, written in CBOR (RFC 8949)."""

from __future__ import annotations

from typing import Any

from contracts.decoders.addressing import address
from contracts.decoders.binary import ByteStrings, as_text
from contracts.decoders.cbor_reader import read
from contracts.decoders.flatten import check_stored
from contracts.decoders.model import Decoded, Example, Message
from contracts.decoders.presence import presence
from contracts.decoders.settings import DecoderSettings, NumericStrings
from contracts.decoders.standard import samples_of


class CborSettings(DecoderSettings):
    numeric_strings: NumericStrings = False
    byte_strings: ByteStrings = "hex"


class Cbor:
    """Whole-number keys are read as their digits; of a tag, its content; a key that stands twice is refused."""

    name = "cbor"
    version = 1
    description = "CBOR in the shapes that `standard` knows in JSON; a status may be the bare word."
    example = Example(
        "devices/s1/telemetry",
        bytes.fromhex("a36b74656d7065726174757265f94d606868756d69646974791828627473c11a69a40fa0"),
    )
    Settings = CborSettings

    def decode(self, message: Message, settings: CborSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        payload = message.payload
        if where.kind == "presence":
            content: Any = None
            if not payload.isascii():  # a word or JSON else: `1` alone is CBOR as well
                content = read(payload, as_text(settings.byte_strings))
            return Decoded(presence=presence(message, where, content))
        content = read(payload, as_text(settings.byte_strings))
        samples = samples_of(content, where, message.received, settings.numeric_strings)
        if b"\0" in payload:
            for sample in samples:
                check_stored(sample.readings)
        return Decoded(samples)
