"""`raw`: the message is stored as it came, and read by nobody."""

from __future__ import annotations

from contracts.decoders.model import Decoded, Example, Message
from contracts.decoders.settings import DecoderSettings


class RawSettings(DecoderSettings):
    """There is nothing to set."""


class Raw:
    name = "raw"
    version = 1
    description = "Messages are stored as they came, and no readings are made of them."
    example = Example("plant/line-4/camera", b"\xff\xd8\xff\xe0 any bytes")
    Settings = RawSettings

    def decode(self, message: Message, settings: RawSettings) -> Decoded:
        del message, settings
        return Decoded()
